/** Runs benchmarks by name on a host of their own. See script/bench. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { BenchHost, type BenchPlatform, ROOT, removeHost } from "./bench-host.ts";
import { benchDns } from "./dns.bench.ts";
import { type Comparison, comparisonLines } from "./figures.ts";
import { benchPresent } from "./present.bench.ts";
import { benchResources } from "./resources.bench.ts";
import { benchRestart } from "./restart.bench.ts";
import { benchRollout } from "./rollout.bench.ts";
import { benchStart } from "./start.bench.ts";
import { benchUnchanged } from "./unchanged.bench.ts";

type Bench = (host: BenchHost, platform: BenchPlatform, rounds: number) => Promise<Comparison[]>;

const BENCHES: Readonly<Record<string, Bench>> = {
  resources: benchResources,
  start: benchStart,
  unchanged: benchUnchanged,
  restart: benchRestart,
  rollout: benchRollout,
  present: benchPresent,
  dns: benchDns,
};

const ROUNDS = 3;
/** In a namespace of their own each, without a platform. */
const OWN: ReadonlySet<string> = new Set(["store", "route", "address", "overlay"]);

/** Only by their names, with words of their own. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ["failover", "bench/hosts/failover.bench.ts"],
  ["steady", "bench/hosts/steady.bench.ts"],
  ["compose", "packages/cli/bench/config.bench.ts"],
  ["schedule", "packages/scheduler/bench/schedule.bench.ts"],
  ["engine", "packages/scheduler/bench/engine.bench.ts"],
]);

async function main(words: readonly string[]): Promise<void> {
  const named = NAMED.get(words[0] ?? "");
  if (named !== undefined) {
    const { status } = spawnSync(process.execPath, [join(ROOT, named), ...words.slice(1)], {
      stdio: "inherit",
    });
    process.exitCode = status ?? 1;
    return;
  }
  const json = words.includes("--json");
  const at = words.indexOf("--rounds");
  const rounds = at < 0 ? ROUNDS : Number(words[at + 1]);
  const names = words.filter(
    (word, index) => !word.startsWith("--") && (at < 0 || index !== at + 1),
  );
  const unknown = names.find((name) => !OWN.has(name) && !(name in BENCHES));
  if (unknown !== undefined || !Number.isInteger(rounds) || rounds < 1) {
    console.error(`unknown: ${unknown ?? `--rounds ${words[at + 1]}`}; see script/bench --help`);
    process.exitCode = 2;
    return;
  }
  const all = names.length === 0;
  const chosen = Object.entries(BENCHES).filter(([name]) => all || names.includes(name));
  if (chosen.length > 0) await runOnHost(chosen, { rounds, json });
  for (const name of ["route", "address", "overlay"]) {
    if (!all && !names.includes(name)) continue;
    const file = join(ROOT, `packages/network/bench/${name}.bench.ts`);
    const pairs = at < 0 ? [] : ["--pairs", String(rounds)];
    spawnSync(process.execPath, [file, ...pairs, ...(json ? ["--json"] : [])], {
      stdio: "inherit",
    });
  }
  if (all || names.includes("store")) {
    const file = join(ROOT, "packages/control-plane/bench/store.bench.ts");
    spawnSync(process.execPath, [file, ...(json ? ["--json"] : [])], { stdio: "inherit" });
  }
}

async function runOnHost(
  chosen: readonly (readonly [string, Bench])[],
  options: { readonly rounds: number; readonly json: boolean },
): Promise<void> {
  const host = await BenchHost.make();
  try {
    const platform = await host.platform();
    for (const [name, bench] of chosen) {
      for (const comparison of await bench(host, platform, options.rounds)) {
        if (options.json) console.log(JSON.stringify({ bench: name, ...comparison }));
        else console.log(`${comparisonLines(comparison).join("\n")}\n`);
      }
    }
  } finally {
    removeHost(host);
  }
}

await main(process.argv.slice(2));
process.exit();
