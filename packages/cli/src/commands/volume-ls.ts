/** `berth volume ls` */

import { allPages, pageQuery } from "../all-pages.ts";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

export const command: CommandDescription = {
  summary: "volumes of the environment, where they live and who uses them",
  arguments: [{ name: "stack", summary: "only this stack's", required: false }],
  examples: [{ line: "berth volume ls shop", does: "the volumes of one stack" }],
  async run(input) {
    const { output, signal } = input;
    const [stack] = input.words;
    const api = input.connect();
    const views = await allPages((after) =>
      api.call("listVolumes", {
        params: input.scope(),
        query: { ...(stack === undefined ? {} : { stack }), ...pageQuery(after) },
        signal,
      }),
    );
    if (output.json) {
      for (const view of views) output.line(JSON.stringify(view));
      return EXIT.done;
    }
    const rows = views.map(({ volume, usedBy }) => [
      `${volume.stack}/${volume.name}${volume.slot === undefined ? "" : `.${volume.slot}`}`,
      volume.mode,
      volume.node ?? "",
      usedBy.join(" "),
      volume.engineName,
    ]);
    for (const line of table(["VOLUME", "MODE", "NODE", "USED BY", "ENGINE NAME"], rows))
      output.line(line);
    return EXIT.done;
  },
};
