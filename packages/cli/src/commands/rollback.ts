/** `berth rollback` */

import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "move a stack to an earlier release",
  arguments: [{ name: "stack", summary: "the stack", required: true }],
  options: [
    {
      flags: "--release <number>",
      summary: "the release",
      fallback: "the good one before the current",
    },
  ],
  examples: [
    { line: "berth rollback shop", does: "back to the good release before the current one" },
    {
      line: "berth rollback shop --release 3",
      does: "to release 3; berth releases shop lists them",
    },
  ],
  async run(input) {
    const target = targetOf(input, input.words[0] ?? "");
    const text = textOption(input, "release");
    const release = text === undefined ? undefined : Number(text);
    if (release !== undefined && !(Number.isInteger(release) && release > 0)) {
      throw new ProtocolError("invalid_request", `"${text}" is no release number`);
    }
    const stack = await input.connect().call("rollbackStack", {
      params: { ...target },
      body: release === undefined ? {} : { release },
      signal: input.signal,
    });
    if (input.output.json) input.output.line(JSON.stringify(stack));
    else
      input.output.line(
        `${stack.stack} moves to release ${stack.release} (berth explain ${stack.stack})`,
      );
    return EXIT.done;
  },
};
