/**
 * `npm run sim -- SEED`: runs one seed and prints its trace with the legend. `SEED..SEED` runs a range and
 * prints what went wrong, with a summary of what was covered.
 */

import { assert } from "@berth/base";
import { type RunResult, runSeed } from "./run-seed.ts";
import { summaryOf } from "./summary.ts";
import { legendText } from "./trace.ts";

function write(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function runOne(seed: number): Promise<boolean> {
  const result = await runSeed(seed);
  write(legendText());
  for (const line of result.trace) write(line);
  write(summaryOf([result]));
  return result.violations.length === 0;
}

async function runRange(first: number, last: number): Promise<boolean> {
  const results: RunResult[] = [];
  for (let seed = first; seed <= last; seed++) {
    const { trace: _trace, ...result } = await runSeed(seed);
    results.push({ ...result, trace: [] });
    for (const { checker, sentence, atMs } of result.violations) {
      write(`seed ${seed} at ${(atMs / 1_000).toFixed(3)} s: ${checker}: ${sentence}`);
    }
  }
  write(summaryOf(results));
  return results.every(({ violations }) => violations.length === 0);
}

async function main(words: readonly string[]): Promise<void> {
  const [word = ""] = words;
  const match = /^(\d+)(?:\.\.(\d+))?$/.exec(word);
  if (match === null) {
    write("usage: npm run sim -- SEED | FIRST..LAST");
    process.exitCode = 2;
    return;
  }
  const first = Number(match[1]);
  const last = match[2] === undefined ? undefined : Number(match[2]);
  assert(Number.isSafeInteger(first), "a seed is an integer");
  const clean = last === undefined ? await runOne(first) : await runRange(first, last);
  process.exitCode = clean ? 0 : 1;
}

await main(process.argv.slice(2));
