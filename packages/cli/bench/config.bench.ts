/**
 * `berth config` over a folder of stack files, one process each, beside the same of a peer:
 *
 *   node packages/cli/bench/config.bench.ts [--folder PATH] [--peer PATH] [--rounds N] [--json]
 *
 * Before that, stacks of 500 services and files of 10 MB in one process. Without --folder that is all.
 *
 * The folder holds files that other people wrote (the peer's own collection has 39) and is not part of this
 * repository; the peer is a `docker-compose` program. Rounds take turns, so that what else the machine does falls on
 * both.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const ROOT = join(import.meta.dirname, "../../..");
const FILE = /^(docker-)?compose\.ya?ml$/;

const { values } = parseArgs({
  options: {
    folder: { type: "string" },
    peer: { type: "string" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});

interface Contestant {
  readonly name: string;
  readonly argv: (file: string) => readonly [string, ...string[]];
}

const CONTESTANTS: readonly Contestant[] = [
  {
    name: "berth",
    argv: (file) => [join(ROOT, "berth"), "config", "-f", file, "--format", "json"],
  },
  {
    name: "node alone",
    argv: () => [process.execPath, "-e", "console.log('\"services\"')"],
  },
  ...(values.peer === undefined
    ? []
    : [{ name: "peer", argv: peerArgv(values.peer) } satisfies Contestant]),
];

function peerArgv(peer: string): Contestant["argv"] {
  return (file) => [peer, "-f", file, "config", "--format", "json"];
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && FILE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Milliseconds for all files, one process each. */
function roundMs({ name, argv }: Contestant, files: readonly string[]): number {
  const started = performance.now();
  for (const file of files) {
    const [program, ...words] = argv(file);
    const { status, stdout } = spawnSync(program, words, { cwd: dirname(file), encoding: "utf8" });
    assert.ok(status === 0 && stdout.includes('"services"'), `${name} gives nothing for ${file}`);
  }
  return performance.now() - started;
}

/** Stacks of many services and large files, which are made up: packages/compose/bench/load.bench.ts. */
function largeStacks(): void {
  const file = join(ROOT, "packages/compose/bench/load.bench.ts");
  const words = [
    ...(values.peer === undefined ? [] : ["--peer", values.peer]),
    ...(values.json ? ["--json"] : []),
  ];
  const { status } = spawnSync(process.execPath, [file, ...words], { stdio: "inherit" });
  assert.equal(status, 0);
}

largeStacks();
if (values.folder === undefined) process.exit();
const files = filesBelow(values.folder);
assert.ok(files.length > 0, "no stack files: give --folder");
const figures = new Map(CONTESTANTS.map(({ name }): [string, number[]] => [name, []]));
for (const each of CONTESTANTS) roundMs(each, files.slice(0, 2));
for (let count = 0; count < Number(values.rounds); count++) {
  for (const each of CONTESTANTS) figures.get(each.name)?.push(roundMs(each, files));
}
for (const [name, sums] of figures) {
  const sorted = sums.toSorted((left, right) => left - right);
  const medianMs = sorted[Math.floor(sorted.length / 2)] ?? 0;
  if (values.json)
    console.log(JSON.stringify({ bench: "config", name, files: files.length, sums }));
  else {
    const each = (medianMs / files.length).toFixed(1);
    console.log(
      `${name.padEnd(12)} ${Math.round(medianMs)} ms for ${files.length} files, ${each} ms each`,
    );
  }
}
