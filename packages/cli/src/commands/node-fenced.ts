/** `berth node fenced` */

import type { NodeStanding } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

export const command: CommandDescription = {
  summary: "say that a silent node's host is dead, so that its exclusive copies move",
  details:
    "Copies that only one may run of (a volume on a file server, a fixed address) wait for their node, because two of them would do harm. Only say this of a host that is off, or that can reach neither the storage nor the network of its copies: nobody checks it. The word holds until the node is heard of again. Copies whose volume lies on the host itself stay. Works also for a node that was removed while such copies waited.",
  arguments: [{ name: "node", summary: "the node", required: true }],
  options: [
    { flags: "--dry-run", summary: "only say which copies would move" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    { line: "berth node fenced node-2 --dry-run", does: "what waits for this word" },
    { line: "berth node fenced node-2", does: "asks for the node's name, then moves them" },
    { line: "berth node fenced node-2 --yes", does: "for a program that has switched it off" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output, signal } = input;
  const params = { node: input.words[0] ?? "" };
  const api = input.connect();
  if (flagOption(input, "dryRun")) {
    const standing = await api.call("getNodeStanding", { params, signal });
    if (output.json) output.line(JSON.stringify(standing));
    else for (const line of planLines(standing)) output.line(line);
    return EXIT.done;
  }
  if (!(await confirmed(input, params.node, params.node, "nothing was said"))) return EXIT.failed;
  const answer = await api.call("confirmNodeFenced", { params, signal });
  if (output.json) output.line(JSON.stringify(answer));
  else {
    const { node, freed } = answer;
    const what =
      freed.length === 0 ? "no copy waited for that" : `free to move: ${freed.join(", ")}`;
    output.line(`${node} is taken for dead; ${what}`);
  }
  return EXIT.done;
}

function planLines({ node, copies }: NodeStanding): string[] {
  if (node.contact === "up") return [`${node.name} is in contact: it cannot be said to be dead`];
  if (copies.length === 0) return [`${node.name} runs nothing`];
  const rows = copies.map(({ copy, state, bound, stays }) => [
    copy,
    state,
    stays !== undefined
      ? `stays: ${stays}`
      : bound === undefined
        ? "is replaced without it"
        : "is started elsewhere",
  ]);
  return table(["COPY", "STATE", "IF THE HOST IS DEAD"], rows);
}
