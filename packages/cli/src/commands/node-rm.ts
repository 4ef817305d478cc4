/** `berth node rm` */

import { type CommandDescription, type CommandInput, flagOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { tellMoves } from "../output/node-moves.ts";

export const command: CommandDescription = {
  summary: "end a node's membership",
  details:
    "Its certificate is worth nothing from then on. A node that runs copies is refused: drain it first. With --force its free copies are replaced elsewhere at once; copies that only one may run of wait until a person says that the old ones are dead.",
  arguments: [{ name: "node", summary: "the node", required: true }],
  options: [
    { flags: "--force", summary: "although it runs copies" },
    { flags: "--dry-run", summary: "only say what it runs, and where each copy would go" },
    { flags: "--plan", summary: "the same as --dry-run" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    {
      line: "berth node rm node-2 --dry-run",
      does: "what runs there, and what would become of it",
    },
    { line: "berth node drain node-2 && berth node rm node-2", does: "the way without a loss" },
    { line: "berth node rm node-2 --force", does: "a host that is gone for good" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output, signal } = input;
  const node = input.words[0] ?? "";
  if (flagOption(input, "dryRun") || flagOption(input, "plan")) {
    return tellMoves(input, node, { whenEmpty: "it can be removed", atOnce: true });
  }
  const api = input.connect();
  const force = flagOption(input, "force");
  if (force && !(await confirmed(input, node, node))) return EXIT.failed;
  const query = force ? { force: "true" } : {};
  const removed = await api.call("removeNode", { params: { node }, query, signal });
  if (output.json) output.line(JSON.stringify(removed));
  else output.line(`${node} is no node of this cluster any more`);
  return EXIT.done;
}
