/**
 * DNS under load, beside dnsmasq with the same names in the same run: what one query costs, what the most is,
 * the latency at a steady rate idle and while 100 containers start, and what is lost when agent or net are
 * killed. dnsperf asks as this machine itself does, for full names; an answer that is not NOERROR fails the run.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createReadStream, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { type BenchHost, type BenchPlatform, cpuMsOf, IMAGE } from "./bench-host.ts";
import type { Comparison } from "./figures.ts";

const SERVICES = 10;
const COPIES = 3;
const STARTS = 100;
/** The project's promise: p99 of 2 ms at this rate. */
const RATE = 20_000;
const GOAL_MS = 2;
const STEADY_S = 8;
/** What waits for a processor must be the server, not what measures it; the peer is favoured as well. */
const FAVOURED = ["nice", "-n", "-20"] as const;
/** Long enough for 100 containers to start meanwhile. */
const STARTING_S = 25;
const OUTAGE_S = 8;
const CAPACITY_S = 4;
const OURS = { address: "127.0.0.1", port: 7753 } as const;
const PEER = { address: "127.0.0.1", port: 7799 } as const;

type Place = typeof OURS | typeof PEER;

const NAMES = `services:
${Array.from(
  { length: SERVICES },
  (_, index) => `  s${index}:
    image: ${IMAGE}
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: { replicas: ${COPIES}, endpoint_mode: dnsrr, update_config: { parallelism: 0 } }
    x-berth: { min_healthy: 0s, drain: 0s, requests: { cpus: "0.001", memory: 1m } }
`,
).join("")}`;

const STARTED = `services:
  app:
    image: ${IMAGE}
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: { replicas: ${STARTS}, update_config: { parallelism: 0 } }
    x-berth: { min_healthy: 0s, drain: 0s, requests: { cpus: "0.001", memory: 1m } }
`;

interface Run {
  readonly completed: number;
  readonly lost: number;
  readonly perSecond: number;
  /** Milliseconds, sorted; empty unless they were asked for. */
  readonly latencies: readonly number[];
}

export async function benchDns(
  host: BenchHost,
  platform: BenchPlatform,
  rounds: number,
): Promise<Comparison[]> {
  platform.deploy("names", NAMES);
  const questions = join(host.folder, "questions.txt");
  const names = Array.from(
    { length: SERVICES },
    (_, index) => `s${index}.names.main.default.berth`,
  );
  writeFileSync(questions, names.map((name) => `${name} A\n`).join(""));
  const peer = await startPeer(host, names);
  const bench = new Bench(host.folder, questions);
  try {
    return [
      ...(await capacity(bench, platform, peer, rounds)),
      ...(await latency(bench, platform, rounds)),
      ...(await outages(bench, platform)),
    ];
  } finally {
    peer.kill();
    platform.remove("names");
  }
}

/** dnsmasq with the same names, each with as many addresses, without anything else to do. */
async function startPeer(host: BenchHost, names: readonly string[]): Promise<ChildProcess> {
  const file = join(host.folder, "hosts.txt");
  const lines = names.flatMap((name, index) =>
    Array.from({ length: COPIES }, (_, copy) => `10.99.${index}.${copy + 1} ${name}\n`),
  );
  writeFileSync(file, lines.join(""));
  const words = ["-k", "-C", "/dev/null", "-a", PEER.address, "-p", String(PEER.port)];
  words.push("-z", "-R", "-h", "-H", file, "-u", "root");
  const [program, ...first] = FAVOURED;
  const child = spawn(program, [...first, "dnsmasq", ...words], { stdio: "inherit" });
  await delay(500);
  assert.equal(child.exitCode, null, "dnsmasq runs");
  return child;
}

class Bench {
  readonly #folder: string;
  readonly #questions: string;

  constructor(folder: string, questions: string) {
    this.#folder = folder;
    this.#questions = questions;
  }

  /** One run of dnsperf; every answer must be NOERROR with all addresses. */
  async run(
    place: Place,
    options: { readonly seconds: number; readonly rate?: number; readonly each?: true },
  ): Promise<Run> {
    const file = join(this.#folder, "dnsperf.txt");
    const words = [
      ...["-s", place.address, "-p", String(place.port), "-d", this.#questions],
      ...["-l", String(options.seconds), "-c", "4", "-q", "500", "-t", "2"],
      ...(options.rate === undefined ? [] : ["-Q", String(options.rate)]),
      ...(options.each === undefined ? [] : ["-v"]),
    ];
    const argv = [...FAVOURED, "dnsperf", ...words];
    await ended(spawn("sh", ["-c", 'exec "$@" > "$0" 2>&1', file, ...argv]));
    const run = await readRun(file);
    rmSync(file);
    return run;
  }
}

async function readRun(file: string): Promise<Run> {
  const latencies: number[] = [];
  const found = { completed: 0, lost: 0, perSecond: 0 };
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (line.startsWith("> ")) {
      const [, code, , , seconds] = line.split(" ");
      if (code === "T") continue;
      assert.equal(code, "NOERROR", line);
      latencies.push(Number(seconds) * 1_000);
    }
    const [, what, value] =
      /^ {2}(Queries completed|Queries lost|Queries per second): +([\d.]+)/.exec(line) ?? [];
    if (what === "Queries completed") found.completed = Number(value);
    if (what === "Queries lost") found.lost = Number(value);
    if (what === "Queries per second") found.perSecond = Number(value);
    const codes = /^ {2}Response codes: +(.*)$/.exec(line)?.[1];
    if (codes !== undefined) assert.match(codes, /^NOERROR \d+ \(100\.00%\)$/, "no wrong answer");
    const size = /Average packet size: +request \d+, response (\d+)/.exec(line)?.[1];
    if (size !== undefined) assert.ok(Number(size) >= 12 + 30 + COPIES * 16, "all addresses");
  }
  assert.ok(found.completed > 0, "dnsperf got answers");
  return { ...found, latencies: latencies.sort((a, b) => a - b) };
}

/** What the most is, and what a query costs the server's process: the second hardly knows other load. */
async function capacity(
  bench: Bench,
  platform: BenchPlatform,
  peer: ChildProcess,
  rounds: number,
): Promise<Comparison[]> {
  const most = { ours: [] as number[], peer: [] as number[] };
  const cost = { ours: [] as number[], peer: [] as number[] };
  const [net = 0] = platform.processes().net;
  for (let round = 0; round < rounds; round++) {
    for (const [side, place, pid] of [
      ["ours", OURS, net],
      ["peer", PEER, peer.pid ?? 0],
    ] as const) {
      const before = cpuMsOf(pid);
      const { completed, perSecond } = await bench.run(place, { seconds: CAPACITY_S });
      most[side].push(perSecond);
      cost[side].push(((cpuMsOf(pid) - before) * 1_000) / completed);
    }
  }
  return [
    {
      what: "most queries a second that one client program gets answered",
      unit: "q/s",
      ours: most.ours,
      peer: { name: "dnsmasq", values: most.peer },
      goal: "0.8 of dnsmasq",
    },
    {
      what: "processor time of the server for a query",
      unit: "us",
      ours: cost.ours,
      peer: { name: "dnsmasq", values: cost.peer },
    },
  ];
}

async function latency(
  bench: Bench,
  platform: BenchPlatform,
  rounds: number,
): Promise<Comparison[]> {
  const idle = { ours: [] as Run[], peer: [] as Run[] };
  for (let round = 0; round < rounds; round++) {
    const options = { seconds: STEADY_S, rate: RATE, each: true } as const;
    idle.ours.push(await bench.run(OURS, options));
    idle.peer.push(await bench.run(PEER, options));
  }
  const starting: { ours?: Run; peer?: Run } = {};
  for (const [side, place] of [
    ["ours", OURS],
    ["peer", PEER],
  ] as const) {
    const running = bench.run(place, { seconds: STARTING_S, rate: RATE, each: true });
    const file = join(platform.dataDir, "started.yaml");
    writeFileSync(file, STARTED);
    await ended(platform.spawn("deploy", "-f", file, "--stack", `started-${side}`));
    starting[side] = await running;
    await ended(platform.spawn("stack", "rm", `started-${side}`, "--yes"));
  }
  const p99 = ({ latencies }: Run) =>
    latencies[Math.ceil(latencies.length * 0.99) - 1] ?? Number.NaN;
  const loss = [...idle.ours, ...(starting.ours === undefined ? [] : [starting.ours])];
  assert.ok(starting.ours !== undefined && starting.peer !== undefined);
  return [
    {
      what: `p99 at ${RATE} queries a second, nothing else to do`,
      unit: "ms",
      ours: idle.ours.map(p99),
      peer: { name: "dnsmasq", values: idle.peer.map(p99) },
      goal: `${GOAL_MS} ms`,
    },
    {
      what: `p99 at ${RATE} queries a second while ${STARTS} containers start`,
      unit: "ms",
      ours: [p99(starting.ours)],
      peer: { name: "dnsmasq", values: [p99(starting.peer)] },
      goal: `${GOAL_MS} ms`,
    },
    {
      what: "queries without an answer in all of these",
      unit: "",
      ours: [loss.reduce((sum, { lost }) => sum + lost, 0)],
      goal: "0",
    },
  ];
}

/** Processes killed in the middle of a steady run; their successors are started by who looks after them. */
async function outages(bench: Bench, platform: BenchPlatform): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const [name, goal] of [
    ["agent", "0"],
    ["net", undefined],
  ] as const) {
    const running = bench.run(OURS, { seconds: OUTAGE_S, rate: RATE });
    await delay((OUTAGE_S * 1_000) / 3);
    const [pid = 0] = platform.processes()[name];
    process.kill(pid, "SIGKILL");
    const { lost, completed } = await running;
    comparisons.push({
      what: `queries lost of ${completed + lost} when ${name} is killed (${((lost / RATE) * 1_000).toFixed(0)} ms at this rate)`,
      unit: "",
      ours: [lost],
      ...(goal === undefined ? {} : { goal }),
    });
  }
  return comparisons;
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${child.spawnfile} ended with ${code}`));
    });
  });
}
