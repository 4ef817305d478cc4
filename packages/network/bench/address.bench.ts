/**
 * Requests per second, their time and their processor time through a service address, against direct connections
 * to the same copies, in turns. On both sides each client spreads its connections over all copies (spread.lua): a
 * client that has one server to itself shares a core with it, which says nothing of the way between them.
 *
 *     node packages/network/bench/address.bench.ts [--pairs 12] [--seconds 3] [--json]
 *
 * In a network namespace of its own (needs root). Needs wrk. Client and copies are namespaces on one bridge.
 * Every copy must have got its share of the work, and no request may fail.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { addBridge, type Container, startContainer } from "../e2e/containers.ts";
import { loopbackModel, netUnderTest, SERVICE, until } from "../e2e/lab.ts";
import { lowerBound, mean } from "./paired.ts";

const INSIDE = "BERTH_BENCH_INSIDE";
const COPIES = 3;
const CLIENTS = 3;
/** Of each client: as many to each copy. */
const CONNECTIONS = 15;
const SPREAD = fileURLToPath(new URL("./spread.lua", import.meta.url));
/** Of processor times in `/proc`: 100 a second. */
const TICK_MICROS = 10_000;
const ADDRESS = "10.79.0.7";
const PORT = 8090;
/** Of what a direct connection does, at the lower 95 % bound. */
const GOAL = 0.95;
/** The least part of an even share that each copy must have got. */
const SHARE_MIN = 0.8;
const NETWORK = {
  id: "n1",
  project: "default",
  environment: "main",
  stack: "shop",
  name: "default",
  bridge: "br-bench",
  subnet: "10.77.0.0/24",
  gateway: "10.77.0.1",
  serviceRange: "10.79.0.0/24",
  internal: false,
};

const { values } = parseArgs({
  options: {
    pairs: { type: "string", default: "12" },
    seconds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});

interface Run {
  readonly requests: number;
  /** Median of the requests' durations, microseconds. */
  readonly medianMicros: number;
  /** Of clients and copies for a request, microseconds; what the kernel does for their packets is in it. */
  readonly processorMicros: number;
}

type Kind = "kept" | "new";

if (process.env[INSIDE] === "1") {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const net = netUnderTest();
  test("requests through a service address", { timeout: 600_000 }, async () => {
    const folder = mkdtempSync(`${tmpdir()}/bbench-`);
    const servers: ChildProcess[] = [];
    try {
      await run(net, folder, servers);
    } finally {
      for (const server of servers) server.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  });
} else {
  const args = ["-n", process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, [INSIDE]: "1" };
  process.exitCode = spawnSync("unshare", args, { env, stdio: "inherit" }).status ?? 1;
}

async function run(
  net: ReturnType<typeof netUnderTest>,
  folder: string,
  servers: ChildProcess[],
): Promise<void> {
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  addBridge(NETWORK.bridge, `${NETWORK.gateway}/24`);
  const client = await startContainer("10.77.0.20", NETWORK.gateway, NETWORK.bridge);
  // A client of its own: a copy still remembers, for a minute, which ports a client had used. A connection through
  // the service address from one of them would begin with other numbers than a direct one, and wait for a second try.
  const directClient = await startContainer("10.77.0.21", NETWORK.gateway, NETWORK.bridge);
  for (let slot = 1; slot <= COPIES; slot++) {
    const copy = await startContainer(addressOf(slot), NETWORK.gateway, NETWORK.bridge);
    servers.push(startCopy(folder, slot, copy));
  }
  await net.start();
  const report = await net.client.apply(model());
  assert.deepEqual(report.addresses?.problems, []);
  for (let slot = 1; slot <= COPIES; slot++) {
    await until("the copy answers", 10_000, async () =>
      (await client.reaches(addressOf(slot), PORT)) ? true : undefined,
    );
  }
  const copies = Array.from({ length: COPIES }, (_, index) => addressOf(index + 1));
  for (const kind of ["kept", "new"] as const) {
    await compare(kind, folder, {
      // As many as there are copies, so that the script's work is the same.
      ours: () => load({ client, addresses: copies.map(() => ADDRESS), kind, servers }),
      direct: () => load({ client: directClient, addresses: copies, kind, servers }),
    });
  }
}

function addressOf(slot: number): string {
  return `10.77.0.1${slot}`;
}

function model() {
  return loopbackModel(1, {
    networks: [NETWORK],
    services: [
      {
        ...SERVICE,
        networks: [{ networkId: "n1", aliases: [], virtualAddress: ADDRESS }],
        endpointMode: "vip",
        ports: [],
      },
    ],
    endpoints: Array.from({ length: COPIES }, (_, index) => ({
      ...SERVICE,
      slot: index + 1,
      taskId: `t${index + 1}`,
      networkId: "n1",
      address: addressOf(index + 1),
      state: "ready" as const,
    })),
    ingress: { ...loopbackModel(1, {}).ingress, httpRoutes: [], tcpPorts: [] },
  });
}

/** A copy that answers at once, on one thread, so that each has the same. */
function startCopy(folder: string, slot: number, { pid }: Container): ChildProcess {
  const path = `${folder}/copy${slot}.cfg`;
  const lines = [
    "global",
    "  maxconn 4000",
    "  nbthread 1",
    `  stats socket ${folder}/copy${slot}.sock`,
    "defaults",
    "  mode http",
    "  timeout connect 1s",
    "  timeout client 1m",
    "  timeout server 1m",
    "frontend copy",
    `  bind :${PORT}`,
    '  http-request return status 200 content-type text/plain string "ok"',
  ];
  writeFileSync(path, `${lines.join("\n")}\n`);
  const argv = ["-t", String(pid), "-n", "haproxy", "-db", "-f", path];
  return spawn("nsenter", argv, { stdio: ["ignore", "ignore", "inherit"] });
}

/** Requests that each copy has answered. */
async function answered(folder: string): Promise<number[]> {
  const counts: number[] = [];
  for (let slot = 1; slot <= COPIES; slot++) {
    let text = "";
    const socket = connect(`${folder}/copy${slot}.sock`);
    socket.setEncoding("utf8").write("show info\n");
    for await (const chunk of socket) text += chunk;
    counts.push(Number(/^CumReq: (\d+)/m.exec(text)?.[1]));
  }
  return counts;
}

interface Load {
  readonly client: Container;
  readonly addresses: readonly string[];
  readonly kind: Kind;
  readonly servers: readonly ChildProcess[];
}

async function load({ client, addresses, kind, servers }: Load): Promise<Run> {
  const before = processorMicros(servers);
  const started = Array.from({ length: CLIENTS }, () => wrk(client, addresses, kind));
  const runs = await Promise.all(started);
  const spent = processorMicros(servers) - before;
  const requests = runs.reduce((sum, each) => sum + each.requests, 0);
  return {
    requests,
    medianMicros: mean(runs.map((each) => each.medianMicros)),
    processorMicros: spent / (requests * Number(values.seconds)),
  };
}

/** Of the copies, and of all programs that this process has waited for. */
function processorMicros(servers: readonly ChildProcess[]): number {
  const stat = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  const waitedFor = (Number(stat[13]) + Number(stat[14])) * TICK_MICROS;
  const copies = servers.map(({ pid }) => readFileSync(`/proc/${pid}/schedstat`, "utf8"));
  return waitedFor + copies.reduce((sum, text) => sum + Number(text.split(" ")[0]) / 1_000, 0);
}

async function wrk(client: Container, addresses: readonly string[], kind: Kind) {
  const argv = [
    ...["-t1", `-c${CONNECTIONS}`, `-d${values.seconds}s`, "--latency", "-s", SPREAD],
    ...[`http://${addresses[0]}:${PORT}/`, "--", String(PORT), String(CONNECTIONS), kind],
    ...addresses,
  ];
  const text = await client.run("wrk", argv);
  assert.doesNotMatch(text, /Non-2xx|Socket errors: (?!connect 0, read \d+, write 0, timeout 0)/);
  const requests = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  const [, time = "", unit = ""] = /50%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
  assert.ok(requests > 0, text);
  return { requests, medianMicros: Number(time) * { us: 1, ms: 1e3, s: 1e6 }[unit as "us"] };
}

interface Sides {
  readonly ours: () => Promise<Run>;
  readonly direct: () => Promise<Run>;
}

async function compare(kind: Kind, folder: string, sides: Sides): Promise<void> {
  await sides.ours();
  await sides.direct();
  const ours: Run[] = [];
  const direct: Run[] = [];
  const shares = new Array<number>(COPIES).fill(0);
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    if (pair % 2 === 0) direct.push(await sides.direct());
    const before = await answered(folder);
    ours.push(await sides.ours());
    const after = await answered(folder);
    for (const [index, count] of after.entries())
      shares[index] = (shares[index] ?? 0) + count - (before[index] ?? 0);
    if (pair % 2 === 1) direct.push(await sides.direct());
  }
  const total = shares.reduce((sum, share) => sum + share, 0);
  const ratiosOf = (value: (run: Run) => number) =>
    ours.map((run, pair) => value(run) / value(direct[pair] ?? run));
  const ratios = ratiosOf(({ requests }) => requests);
  const times = ratiosOf(({ medianMicros }) => 1 / medianMicros);
  const costs = ratiosOf(({ processorMicros }) => 1 / processorMicros);
  const what = kind === "kept" ? "kept connections" : "a connection for each request";
  const figures = {
    what: `requests through a service address, ${what}`,
    ours: ours.map(({ requests }) => Math.round(requests)),
    direct: direct.map(({ requests }) => Math.round(requests)),
    ratioMean: mean(ratios),
    ratioLower95: lowerBound(ratios),
    timeRatioMean: mean(times),
    processorRatioMean: mean(costs),
    processorRatioLower95: lowerBound(costs),
    processorMicros: ours.map(({ processorMicros }) => processorMicros),
    shares,
  };
  if (values.json) console.log(JSON.stringify(figures));
  else for (const line of linesOf(figures)) console.log(line);
  // A kept connection stays where chance has put it: only many of them are even.
  const least = kind === "new" ? (SHARE_MIN * total) / COPIES : 1;
  for (const share of shares) assert.ok(share >= least, `shares ${shares}`);
}

function linesOf(figures: {
  readonly what: string;
  readonly ours: readonly number[];
  readonly direct: readonly number[];
  readonly ratioMean: number;
  readonly ratioLower95: number;
  readonly timeRatioMean: number;
  readonly processorRatioMean: number;
  readonly processorRatioLower95: number;
  readonly processorMicros: readonly number[];
  readonly shares: readonly number[];
}): string[] {
  const bound = (ratio: number, lower: number) =>
    `${ratio.toFixed(3)}, lower 95 % bound ${lower.toFixed(3)}`;
  return [
    figures.what,
    `  address   ${figures.ours.join(" ")} requests/s`,
    `  direct    ${figures.direct.join(" ")} requests/s`,
    `  ratio     ${bound(figures.ratioMean, figures.ratioLower95)}; goal ${GOAL} at the bound`,
    `  time      direct is ${figures.timeRatioMean.toFixed(3)} of the address's, median of a request`,
    `  processor direct is ${bound(figures.processorRatioMean, figures.processorRatioLower95)} of the address's ${mean(figures.processorMicros).toFixed(1)} us a request`,
    `  copies    ${figures.shares.join(" ")} requests each`,
  ];
}
