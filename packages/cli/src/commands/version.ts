/** `berth version`: this program, and the server where one answers. */

import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { VERSION } from "../platform/version.ts";

export const command: CommandDescription = {
  summary: "version of this program, and of the server",
  options: [{ flags: "--server", summary: "ask the server too" }],
  examples: [
    { line: "berth version", does: "this program's version, without asking anybody" },
    { line: "berth version --server --json", does: "both, for scripts" },
  ],
  async run({ output, options, connect, signal }) {
    const server =
      options["server"] === true
        ? await connect().call("version", { params: {}, signal })
        : undefined;
    if (output.json) output.line(JSON.stringify({ version: VERSION, server }));
    else {
      output.line(`berth ${VERSION}`);
      if (server !== undefined) output.line(`server ${server.version} (cluster ${server.cluster})`);
    }
    return EXIT.done;
  },
};
