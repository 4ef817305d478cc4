/** Asking before something is taken away. */

import { ProtocolError } from "@berth/protocol";
import { type CommandInput, flagOption } from "./command.ts";

/**
 * True when the reader typed `word`, or gave `--yes`. Without a terminal `--yes` is needed: a script that
 * forgot it must not take anything away.
 */
export async function confirmed(
  input: CommandInput,
  word: string,
  what: string,
  otherwise = "nothing was removed",
): Promise<boolean> {
  if (flagOption(input, "yes")) return true;
  if (!process.stdin.isTTY) {
    const message = `${otherwise}: there is no terminal to ask at; give --yes to go on`;
    throw new ProtocolError("invalid_request", message, { what });
  }
  const { ask } = await import("./output/ask.ts");
  const answer = await ask(`type ${what} to go on: `, { signal: input.signal });
  if (answer.trim() === word) return true;
  input.output.note(otherwise);
  return false;
}
