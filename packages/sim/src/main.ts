/** `npm run sim`: runs one seed and prints its trace with the legend, or a range with a summary; see `USAGE`. */

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { MINUTE_MS } from "@berth/base";
import { runRange } from "./run-range.ts";
import { type RunResult, runSeed } from "./run-seed.ts";
import { SCALES, type ScaleName } from "./scale.ts";
import { summaryOf } from "./summary.ts";
import { legendText } from "./trace.ts";

const USAGE = `usage: npm run sim -- SEED | FIRST..LAST [options]

Runs a whole cluster with faults on virtual time. One seed: its trace with the legend. A range: what was found, and
what was covered. The same seed on the same commit is the same run.

  --scale SCALE         small: 3 machines, 1 to 2 minutes of faults (default)
                        medium: 3 to 7 machines, 2 to 4 minutes
                        large: 3 to 50 machines, 30 to 40 minutes
  --machines N          instead of the number that the seed draws
  --processes N         of a range; one for each processor by default
  --minutes M           of a range: begin no further seed after so many real minutes

Exit codes: 0 clean, 1 a checker spoke, 2 wrong usage.

  npm run sim -- 26                                one run with its trace
  npm run sim -- 1..1000                           a thousand small ones
  npm run sim -- 1..10000 --scale large            the long run`;

interface Wanted {
  readonly first: number;
  /** Absent for one seed with its trace. */
  readonly last?: number;
  readonly scale: ScaleName;
  readonly machines?: number;
  readonly processes: number;
  readonly limitMs?: number;
}

function write(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What the words mean; a sentence when they mean nothing. */
function wantedOf(words: readonly string[]): Wanted | string {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      scale: { type: "string", default: "small" },
      machines: { type: "string" },
      processes: { type: "string", default: String(availableParallelism()) },
      minutes: { type: "string" },
    },
  });
  const match = /^(\d+)(?:\.\.(\d+))?$/.exec(positionals.join(" "));
  if (match === null) return `"${positionals.join(" ")}" is no SEED and no FIRST..LAST`;
  const { scale, machines, processes, minutes } = values;
  if (!Object.hasOwn(SCALES, scale))
    return `--scale ${scale}: expected ${Object.keys(SCALES).join(", ")}`;
  for (const [name, value] of Object.entries({ machines, processes, minutes })) {
    if (value !== undefined && !/^[1-9]\d*$/.test(value)) {
      return `--${name} ${value}: expected a whole number from 1`;
    }
  }
  return {
    first: Number(match[1]),
    ...(match[2] === undefined ? {} : { last: Number(match[2]) }),
    scale: scale as ScaleName,
    ...(machines === undefined ? {} : { machines: Number(machines) }),
    processes: Number(processes),
    ...(minutes === undefined ? {} : { limitMs: Number(minutes) * MINUTE_MS }),
  };
}

async function runOne({ first, scale, machines }: Wanted): Promise<boolean> {
  const options = { scale, ...(machines === undefined ? {} : { machines }) };
  const result = await runSeed(first, options);
  write(legendText());
  for (const line of result.trace) write(line);
  write(summaryOf([result]));
  return result.violations.length === 0;
}

async function runMany(wanted: Wanted, last: number): Promise<boolean> {
  const results: RunResult[] = [];
  const { scale, machines } = wanted;
  const how = `${scale === "small" ? "" : ` --scale ${scale}`}${machines === undefined ? "" : ` --machines ${machines}`}`;
  const onResult = (result: RunResult) => {
    results.push(result);
    const { seed, violations } = result;
    for (const { checker, sentence, atMs } of violations) {
      write(`seed ${seed} at ${(atMs / 1_000).toFixed(3)} s: ${checker}: ${sentence}`);
    }
    if (violations.length > 0) write(`  trace: npm run sim -- ${seed}${how}`);
  };
  await runRange({ ...wanted, last, onResult });
  write(summaryOf(results));
  return results.every(({ violations }) => violations.length === 0);
}

async function main(words: readonly string[]): Promise<void> {
  const isAsked = words.includes("--help") || words.includes("-h");
  let wanted: Wanted | string;
  try {
    wanted = isAsked ? "" : wantedOf(words);
  } catch (error) {
    wanted = error instanceof Error ? error.message : String(error);
  }
  if (typeof wanted === "string") {
    write(wanted === "" ? USAGE : `${wanted}\n\n${USAGE}`);
    process.exitCode = isAsked ? 0 : 2;
    return;
  }
  const { last } = wanted;
  const clean = last === undefined ? await runOne(wanted) : await runMany(wanted, last);
  process.exitCode = clean ? 0 : 1;
}

await main(process.argv.slice(2));
