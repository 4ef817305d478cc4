/** `berth platform stop` */

import { type CommandDescription, flagOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { stopPlatform } from "../platform/lifecycle.ts";
import { lifecycleOf } from "../platform/platform-life.ts";

export const command: CommandDescription = {
  summary: "stop Berth on this machine; containers keep running",
  details:
    "Ends server, agent and supervisor. Containers, names and requests go on (net and HAProxy stay); nothing restarts or replaces them until the platform is started again.",
  options: [{ flags: "--engine", summary: "stop the container engine, too, if Berth started it" }],
  examples: [
    { line: "berth platform stop", does: "stop; berth platform start goes on from there" },
  ],
  async run(input) {
    const ended = await stopPlatform(lifecycleOf(input), { engine: flagOption(input, "engine") });
    if (input.output.json) input.output.line(JSON.stringify({ ended }));
    else if (ended.length === 0) input.output.line("nothing of Berth runs on this machine");
    else input.output.line(`stopped ${ended.join(", ")}; containers keep running`);
    return EXIT.done;
  },
};
