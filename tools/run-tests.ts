/**
 * Runs everything that is checked, in stages, and ends with one line: `N passed, N failed`.
 *
 * A failed stage does not stop the later ones: one run shows all that is wrong.
 */

import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join, relative } from "node:path";
import { run } from "node:test";
import { ROOT } from "./source-tree.ts";

interface Tally {
  passed: number;
  failed: number;
}

interface Stage {
  readonly name: string;
  /** Words of the command line that choose this stage. */
  readonly group: "unit" | "sim" | "e2e";
  readonly run: (tally: Tally) => Promise<void>;
}

/** One end-to-end file at a time: they share the machine's engine, ports and processors. */
const E2E_CONCURRENCY = 1;
/** Unit tests are short and touch nothing shared. */
const UNIT_CONCURRENCY = 2;
/** Files that take longer are named, milliseconds: a stage is as slow as its slowest files. */
const SLOW_FILE_MS = 10_000;
/** Slow files named per stage. */
const SLOW_FILES_MAX = 5;
/** No file takes longer than this unless it hangs, milliseconds. */
const FILE_TIMEOUT_MS = 20 * 60_000;

/** A program of a dependency. Not by npx, which takes seconds to find it. */
function tool(name: string): string {
  return join(ROOT, "node_modules/.bin", name);
}

function program(name: string, argv: readonly string[]): Stage {
  return {
    name,
    group: "unit",
    run: (tally) =>
      new Promise((resolve) => {
        const [first = "", ...rest] = argv;
        const child = spawn(first, rest, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
        child.once("error", (error) => {
          console.error(error.message);
          tally.failed++;
          resolve();
        });
        child.once("close", (code) => {
          if (code === 0) tally.passed++;
          else tally.failed++;
          resolve();
        });
      }),
  };
}

function testFiles(name: string, group: Stage["group"], patterns: readonly string[]): Stage {
  return {
    name,
    group,
    async run(tally) {
      const files = patterns
        .flatMap((pattern) => globSync(pattern, { cwd: ROOT, exclude: ["**/node_modules/**"] }))
        .filter((file) => group === "sim" || !file.startsWith("packages/sim/seeds/"))
        .sort()
        .map((file) => join(ROOT, file));
      const manner =
        group === "e2e"
          ? ({ concurrency: E2E_CONCURRENCY, says: "each file" } as const)
          : ({ concurrency: UNIT_CONCURRENCY, says: "slow files" } as const);
      if (files.length > 0) await runFiles(files, manner, tally);
    },
  };
}

/** Minutes pass in a stage of long files: each is told as it ends. */
type Says = "each file" | "slow files";

async function runFiles(
  files: readonly string[],
  { concurrency, says }: { readonly concurrency: number; readonly says: Says },
  tally: Tally,
) {
  const events = run({ files: [...files], concurrency, timeout: FILE_TIMEOUT_MS });
  const times: { file: string; ms: number }[] = [];
  for await (const event of events) {
    if (event.type === "test:pass" && event.data.details.type !== "suite") {
      if (event.data.skip === undefined && event.data.todo === undefined) tally.passed++;
      // Said, never silent: a test that does not run proves nothing.
      else console.log(`not run: ${event.data.name} (${event.data.skip ?? event.data.todo})`);
    } else if (event.type === "test:summary" && event.data.file !== undefined) {
      const file = relative(ROOT, event.data.file);
      times.push({ file, ms: event.data.duration_ms });
      if (says === "each file") console.log(`  ${seconds(event.data.duration_ms)}  ${file}`);
    } else if (event.type === "test:fail") {
      tally.failed++;
      const { file, line, name, details } = event.data;
      console.error(`\nFAILED ${file ?? ""}:${line ?? ""} ${name}`);
      console.error(details.error.cause ?? details.error);
    } else if (event.type === "test:stderr") process.stderr.write(event.data.message);
  }
  if (says === "slow files") nameSlowFiles(times);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`.padStart(8);
}

function nameSlowFiles(times: readonly { readonly file: string; readonly ms: number }[]): void {
  const slow = times.filter(({ ms }) => ms > SLOW_FILE_MS).sort((a, b) => b.ms - a.ms);
  for (const { file, ms } of slow.slice(0, SLOW_FILES_MAX)) {
    console.log(`  ${seconds(ms)}  ${file}`);
  }
}

const STAGES: readonly Stage[] = [
  program("types", [tool("tsc"), "--noEmit", "-p", "tsconfig.json"]),
  program("format and lint", [tool("biome"), "check", "--error-on-warnings", "."]),
  testFiles("rules of the house", "unit", ["tools/**/*.test.ts"]),
  testFiles("unit tests", "unit", ["packages/*/src/**/*.test.ts"]),
  testFiles("simulation seeds", "sim", ["packages/sim/seeds/**/*.test.ts"]),
  testFiles("end to end", "e2e", ["packages/*/e2e/**/*.e2e.test.ts", "e2e/**/*.e2e.test.ts"]),
];

async function main(words: readonly string[]): Promise<void> {
  const [group, ...files] = words;
  const chosen = STAGES.filter((stage) => group === undefined || stage.group === group);
  const tally: Tally = { passed: 0, failed: 0 };
  const stages =
    files.length > 0 && (group === "unit" || group === "sim" || group === "e2e")
      ? [testFiles("chosen files", group, files)]
      : chosen;
  for (const stage of stages) {
    const before = { ...tally };
    const from = performance.now();
    await stage.run(tally);
    const seconds = ((performance.now() - from) / 1000).toFixed(1);
    const passed = tally.passed - before.passed;
    const failed = tally.failed - before.failed;
    console.log(`${stage.name}: ${passed} passed, ${failed} failed (${seconds} s)`);
  }
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  process.exitCode = tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

await main(process.argv.slice(2));
