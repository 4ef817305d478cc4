/**
 * `berth config` without the rest of Berth: one script, which starts in a third of the time of the whole.
 *
 * It takes the lines that it can and leaves others (help, mistakes, standard input, remote files, digests) to the
 * whole program. What it loads late there is not in it; `tools/bundle.ts` holds the list.
 */

import { command } from "../commands/config.ts";
import { plainWords } from "../plain-words.ts";
import { runDescription } from "../run-description.ts";
import { runProcess } from "../run-process.ts";

/** Runs `berth config` with the words after it; `undefined` where the whole program is needed, before anything was done. */
export function main(rest: readonly string[]): Promise<number> | undefined {
  const read = plainWords(command, rest);
  if (read === undefined || needsMore(read.options)) return undefined;
  return runProcess(["config", ...rest], (options) =>
    runDescription({ words: "config", rest, load: async () => command }, options),
  );
}

function needsMore(options: Readonly<Record<string, unknown>>): boolean {
  const { file } = options;
  const readsStdin = Array.isArray(file) && file.includes("-");
  return (
    readsStdin || options["allowRemote"] !== undefined || options["resolveImageDigests"] === true
  );
}
