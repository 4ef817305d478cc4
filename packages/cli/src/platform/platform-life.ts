/** A `Lifecycle` for a command: paths, clock and client of the platform on this machine. */

import { systemClock } from "@berth/base";
import { HttpClient } from "@berth/protocol/client/http-client";
import type { CommandInput } from "../command.ts";
import { localContext, localPaths, tokenOf } from "../connection/context.ts";
import type { Lifecycle } from "./lifecycle.ts";

export function lifecycleOf(input: CommandInput): Lifecycle {
  const { environment, output, signal } = input;
  return {
    paths: localPaths(environment),
    clock: systemClock,
    signal,
    connect: () => {
      const context = localContext(environment);
      const token = tokenOf(context);
      return new HttpClient(
        token === undefined ? { url: context.url } : { url: context.url, token },
      );
    },
    report: (step, detail) => {
      if (!output.json) output.line(`  ${step.padEnd(16)} ${detail}`);
    },
  };
}
