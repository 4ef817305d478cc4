/** `berth volume rm` */

import type { CommandDescription } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { serviceOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "remove a volume and its data; refused while somebody uses it",
  arguments: [{ name: "volume", summary: "STACK/VOLUME", required: true }],
  options: [{ flags: "-y, --yes", summary: "do not ask" }],
  examples: [
    { line: "berth volume rm shop/db-data", does: "asks, then removes the data for good" },
  ],
  async run(input) {
    const { service: volume, ...scope } = serviceOf(input, input.words[0] ?? "");
    input.output.note(`removes the volume ${scope.stack}/${volume} and its data for good`);
    if (!(await confirmed(input, volume, "the volume's name"))) return EXIT.failed;
    const removed = await input
      .connect()
      .call("removeVolume", { params: { ...scope, volume }, signal: input.signal });
    if (input.output.json) input.output.line(JSON.stringify(removed));
    else input.output.line(`${scope.stack}/${volume} is removed`);
    return EXIT.done;
  },
};
