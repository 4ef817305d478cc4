/** A `Lifecycle` for a command: paths, clock and client of the platform on this machine. */

import { systemClock } from "@berth/base";
import type { CommandInput } from "../command.ts";
import { clientOf } from "../connection/client.ts";
import { localContext, localPaths } from "../connection/context.ts";
import type { Lifecycle } from "./lifecycle.ts";

export function lifecycleOf(input: CommandInput): Lifecycle {
  const { environment, output, signal } = input;
  return {
    paths: localPaths(environment),
    clock: systemClock,
    signal,
    connect: () => clientOf(localContext(environment)),
    report: (step, detail) => {
      if (!output.json) output.line(`  ${step.padEnd(16)} ${detail}`);
    },
  };
}
