/**
 * Throughput between containers on two hosts through a network of Berth, against a VXLAN path made by hand between
 * the same hosts, in turns. By hand means what a handbook says: a bridge and a VXLAN interface of the kernel's defaults with one
 * entry that floods to the other host, without a rule of any firewall.
 *
 *     node packages/network/bench/overlay.bench.ts [--pairs 20] [--seconds 2] [--json]
 *
 * In a network namespace of its own (needs root). Needs iperf3. Hosts and containers are namespaces on one cable. What
 * the receiver counted must be what the sender sent, but for what is on its way at the end.
 */

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { addBridge, type Container, ip, startContainer } from "../e2e/containers.ts";
import {
  joinNetwork,
  LabHost,
  type LabNetwork,
  type LabTask,
  modelOfHost,
  startTask,
} from "../e2e/hosts.ts";
import { until } from "../e2e/lab.ts";
import { lowerBound, mean } from "./paired.ts";

const INSIDE = "BERTH_BENCH_INSIDE";
/** Of what the path by hand carries, at the lower 95 % bound. */
const GOAL = 0.95;
const MTU = 1450;
const IPERF_PORT = 5201;
const NETWORK: LabNetwork = { id: "n", prefix: "10.77.0", overlayId: 100, mtu: MTU };
const BY_HAND = { bridge: "br-hand", port: "vx-hand", prefix: "10.78.0", id: 200, udpPort: 4790 };
/** Of one stream, at the end of a run: what both ends' buffers hold. */
const ON_ITS_WAY_BYTES_MAX = 32 * 2 ** 20;

const { values } = parseArgs({
  options: {
    pairs: { type: "string", default: "20" },
    seconds: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});

interface Path {
  readonly client: Container;
  readonly address: string;
}

interface Run {
  readonly gigabits: number;
  /** Processor time of both programs for a gigabyte, seconds; what the kernel does for their packets is mostly in it. */
  readonly processorSeconds: number;
}

if (process.env[INSIDE] === "1") {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const hosts = [new LabHost(1), new LabHost(2)] as const;
  test("throughput between hosts", { timeout: 900_000 }, () => run(hosts));
} else {
  const args = ["-n", process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, [INSIDE]: "1" };
  process.exitCode = spawnSync("unshare", args, { env, stdio: "inherit" }).status ?? 1;
}

async function run(hosts: readonly [LabHost, LabHost]): Promise<void> {
  for (const host of hosts) await host.start();
  const ours = await throughBerth(hosts);
  const hand = await byHand(hosts);
  for (const streams of [1, 4]) await compare(streams, ours, hand);
}

async function throughBerth(hosts: readonly [LabHost, LabHost]): Promise<Path> {
  const tasks = hosts.map(
    (host, index): LabTask => ({
      ...{ host, networkId: NETWORK.id, slot: index + 1, ready: true },
      address: `${NETWORK.prefix}.1${index + 1}`,
    }),
  );
  const containers: Container[] = [];
  for (const task of tasks) {
    joinNetwork(task.host, NETWORK);
    containers.push(await startTask(task, NETWORK, `ours${task.slot}`));
  }
  for (const host of hosts) {
    const report = await host.net.client.apply(
      modelOfHost(host, 1, { networks: [NETWORK], tasks }),
    );
    for (const part of [report.overlay, report.firewall, report.addresses]) {
      assert.deepEqual(part?.problems, [], host.name);
    }
  }
  return await pathOf(containers);
}

async function byHand(hosts: readonly [LabHost, LabHost]): Promise<Path> {
  const { bridge, port, prefix, id, udpPort } = BY_HAND;
  const containers: Container[] = [];
  for (const [index, host] of hosts.entries()) {
    const other = hosts[1 - index];
    assert.ok(other);
    addBridge(bridge, `${prefix}.${index + 1}/24`, host.pid);
    ip(
      `link add ${port} mtu ${MTU} type vxlan id ${id} dstport ${udpPort} local ${host.underlay}`,
      host.pid,
    );
    const entry = ["fdb", "append", "00:00:00:00:00:00", "dev", port, "dst", other.underlay];
    execFileSync("nsenter", ["-t", String(host.pid), "-n", "bridge", ...entry]);
    ip(`link set ${port} master ${bridge}`, host.pid);
    ip(`link set ${port} up`, host.pid);
    const server = {
      ...{ script: "console.log('ready'); setInterval(() => {}, 1e6)", name: `hand${index}` },
      ...{ host: host.pid, mtu: MTU },
    };
    const address = `${prefix}.1${index + 1}`;
    containers.push(await startContainer(address, `${prefix}.${index + 1}`, bridge, server));
  }
  return await pathOf(containers);
}

/** From the first container to the second, where a server listens. */
async function pathOf([client, server]: readonly Container[]): Promise<Path> {
  assert.ok(client && server);
  const argv = ["-t", String(server.pid), "-n", "iperf3", "-s", "-p", String(IPERF_PORT)];
  const program = spawn("nsenter", argv, { stdio: "ignore" });
  process.on("exit", () => program.kill("SIGKILL"));
  program.unref();
  await until("the other host answers", 10_000, async () =>
    (await client.reaches(server.address, IPERF_PORT)) ? true : undefined,
  );
  return { client, address: server.address };
}

interface IperfEnd {
  readonly sum_sent: { readonly bytes: number };
  readonly sum_received: { readonly bytes: number; readonly bits_per_second: number };
  readonly cpu_utilization_percent: { readonly host_total: number; readonly remote_total: number };
}

async function transfer({ client, address }: Path, streams: number): Promise<Run> {
  const words = ["-c", address, "-p", String(IPERF_PORT), "-t", values.seconds, "-J"];
  const text = await client.run("iperf3", [...words, "-P", String(streams)]);
  const { end, error } = JSON.parse(text) as { readonly end: IperfEnd; readonly error?: string };
  assert.equal(error, undefined);
  const { bytes, bits_per_second } = end.sum_received;
  const onItsWay = end.sum_sent.bytes - bytes;
  assert.ok(bytes > 0 && onItsWay >= 0, `${bytes} of ${end.sum_sent.bytes} bytes came`);
  assert.ok(onItsWay < streams * ON_ITS_WAY_BYTES_MAX, `${onItsWay} bytes did not come`);
  const { host_total, remote_total } = end.cpu_utilization_percent;
  const spent = ((host_total + remote_total) / 100) * Number(values.seconds);
  return { gigabits: bits_per_second / 1e9, processorSeconds: spent / (bytes / 1e9) };
}

async function compare(streams: number, ours: Path, hand: Path): Promise<void> {
  await transfer(ours, streams);
  await transfer(hand, streams);
  const own: Run[] = [];
  const peer: Run[] = [];
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    if (pair % 2 === 0) peer.push(await transfer(hand, streams));
    own.push(await transfer(ours, streams));
    if (pair % 2 === 1) peer.push(await transfer(hand, streams));
  }
  // Logarithms: one pair twice as fast and one half as fast are even, which the mean of 2 and 0.5 is not.
  const ratiosOf = (value: (run: Run) => number) =>
    own.map((each, pair) => Math.log(value(each) / value(peer[pair] ?? each)));
  const ratios = ratiosOf(({ gigabits }) => gigabits);
  const costs = ratiosOf(({ processorSeconds }) => 1 / processorSeconds);
  const figures = {
    what: `between containers on two hosts, ${streams === 1 ? "one stream" : `${streams} streams`}`,
    ours: own.map(({ gigabits }) => gigabits),
    byHand: peer.map(({ gigabits }) => gigabits),
    ratioMean: Math.exp(mean(ratios)),
    ratioLower95: Math.exp(lowerBound(ratios)),
    processorRatioMean: Math.exp(mean(costs)),
    processorRatioLower95: Math.exp(lowerBound(costs)),
  };
  if (values.json) console.log(JSON.stringify(figures));
  else for (const line of linesOf(figures)) console.log(line);
}

function linesOf(figures: {
  readonly what: string;
  readonly ours: readonly number[];
  readonly byHand: readonly number[];
  readonly ratioMean: number;
  readonly ratioLower95: number;
  readonly processorRatioMean: number;
  readonly processorRatioLower95: number;
}): string[] {
  const list = (all: readonly number[]) => all.map((each) => each.toFixed(2)).join(" ");
  const bound = (ratio: number, lower: number) =>
    `${ratio.toFixed(3)}, lower 95 % bound ${lower.toFixed(3)}`;
  return [
    figures.what,
    `  berth     ${mean(figures.ours).toFixed(2)} Gbit/s   (${list(figures.ours)})`,
    `  by hand   ${mean(figures.byHand).toFixed(2)} Gbit/s   (${list(figures.byHand)})`,
    `  ratio     ${bound(figures.ratioMean, figures.ratioLower95)}; goal ${GOAL} at the bound`,
    `  bytes for a second of processor time ${bound(figures.processorRatioMean, figures.processorRatioLower95)} of those by hand`,
  ];
}
