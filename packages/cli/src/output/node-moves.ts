/** Where the copies of a node would go if it were emptied: what `--dry-run` of draining and removing says. */

import type { CopyStanding } from "@berth/protocol";
import type { CommandInput } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "./output.ts";

export interface MovesQuestion {
  /** Ends the sentence about a node that runs nothing. */
  readonly whenEmpty: string;
  /** The node goes at once: what only one may run of waits, where a drain would move it. */
  readonly atOnce?: boolean;
}

/** Asks the server and writes its forecast. */
export async function tellMoves(
  input: CommandInput,
  node: string,
  question: MovesQuestion,
): Promise<number> {
  const { output, signal } = input;
  const query = { elsewhere: "true" };
  const standing = await input
    .connect()
    .call("getNodeStanding", { params: { node }, query, signal });
  if (output.json) output.line(JSON.stringify(standing));
  else for (const line of moveLines(node, standing.copies, question)) output.line(line);
  return EXIT.done;
}

interface Move {
  readonly copy: CopyStanding;
  readonly to: string | undefined;
  readonly why: string;
}

function moveLines(
  node: string,
  copies: readonly CopyStanding[],
  { whenEmpty, atOnce = false }: MovesQuestion,
): string[] {
  if (copies.length === 0) return [`${node} runs nothing: ${whenEmpty}`];
  const moves = copies.map((copy) => moveOf(copy, atOnce));
  const placed = moves.filter(({ to }) => to !== undefined).length;
  const rows = moves.map(({ copy, to, why }) => [copy.copy, copy.state, to ?? "-", why]);
  return [
    `${placed} of ${copies.length} copies find a place on another node`,
    "",
    ...table(["COPY", "STATE", "GOES TO", "WHY"], rows),
  ];
}

function moveOf(copy: CopyStanding, atOnce: boolean): Move {
  const { bound, stays, elsewhere } = copy;
  if (stays !== undefined) return { copy, to: undefined, why: `stays: ${stays}` };
  if (atOnce && bound !== undefined) return { copy, to: undefined, why: `waits: ${bound}` };
  if (elsewhere === undefined) {
    return { copy, to: undefined, why: "stays with the copy whose pod it shares" };
  }
  const { node, why } = elsewhere;
  // The words of a placement begin with its node, which has a column of its own.
  const words = node === undefined ? why : why.slice(why.indexOf(":") + 1).trim();
  return { copy, to: node, why: words };
}
