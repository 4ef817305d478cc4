/** A question at the terminal whose answer is not shown. */

import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

/** What was typed, without the line's end. Rejects when the signal is aborted. */
export async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const ask = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await ask.question("", { signal });
  } finally {
    ask.close();
    process.stderr.write("\n");
  }
}
