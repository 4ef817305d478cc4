/** `berth debug loops` */

import { formatDuration, type LoopStatus } from "@berth/base";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

export const command: CommandDescription = {
  summary: "every loop of the server: when it ran, how long, what failed",
  examples: [{ line: "berth debug loops", does: "one loop a line" }],
  async run(input) {
    const { loops } = await input
      .connect()
      .call("debugLoops", { params: {}, signal: input.signal });
    const now = Date.now();
    const rows = loops.map((value) => {
      // The server's own status objects, as base's driver makes them.
      const loop = value as LoopStatus;
      return [
        loop.name,
        loop.state,
        String(loop.runs),
        String(loop.failures),
        loop.lastStart === undefined
          ? ""
          : `${formatDuration(Math.max(0, now - loop.lastStart))} ago`,
        loop.lastDurationMs === undefined ? "" : formatDuration(loop.lastDurationMs),
        loop.lastError ?? loop.purpose,
      ];
    });
    if (input.output.json) for (const loop of loops) input.output.line(JSON.stringify(loop));
    else {
      const header = ["LOOP", "STATE", "RUNS", "FAILED", "LAST", "TOOK", "PURPOSE OR ERROR"];
      for (const line of table(header, rows)) input.output.line(line);
    }
    return EXIT.done;
  },
};
