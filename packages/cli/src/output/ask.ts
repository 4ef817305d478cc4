/** Questions at the terminal. What is asked goes to standard error, so that results can go elsewhere. */

import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { ProtocolError } from "@berth/protocol";

/**
 * The line that was typed, without its end.
 *
 * Ctrl-C interrupts the command as everywhere: while a question is open the terminal sends no signal, it is a key.
 *
 * @throws an AbortError when the signal is aborted, ProtocolError `invalid_request` when the input ends (Ctrl-D).
 */
export async function ask(
  question: string,
  { signal, hidden = false }: { readonly signal: AbortSignal; readonly hidden?: boolean },
): Promise<string> {
  const { stdin: input, stderr } = process;
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = hidden
    ? createInterface({ input, output: nowhere, terminal: true })
    : createInterface({ input, output: stderr });
  // The terminal shows nothing from here on: who reads the question may type at once.
  if (hidden) stderr.write(question);
  reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  const ended = new Promise<never>((_resolve, reject) => {
    reader.once("close", () => reject(noAnswer(question)));
  });
  try {
    return await Promise.race([reader.question(hidden ? "" : question, { signal }), ended]);
  } catch (error) {
    if (!hidden) stderr.write("\n");
    throw error;
  } finally {
    ended.catch(() => {});
    reader.close();
    if (hidden) stderr.write("\n");
  }
}

function noAnswer(question: string): ProtocolError {
  const message = `the input ended without an answer to "${question.trim().replace(/:$/, "")}"`;
  return new ProtocolError("invalid_request", message, {});
}
