/**
 * How long does a batch take? A small matrix of nodes × asks, plain and with everything on.
 *
 *     node packages/scheduler/bench/schedule.bench.ts [--large]
 *
 * Every cell checks that the work was done (all placed, no node over its room, spread even) before it is
 * timed, and reports the median and the slowest of its runs. The last column is the time for each ask and
 * node: it stays the same where every ask looks at every node, and falls where turns answer.
 */

import { assert, GIB, MIB } from "@berth/base";
import type { Ask, ClusterModel, NodeModel } from "../src/model.ts";
import { DEFAULT_REQUESTS, type ScheduleOptions } from "../src/options.ts";
import type { SchedulePlan } from "../src/plan.ts";
import { constraint } from "../src/testing/fixtures.ts";
import { schedule } from "../src/transaction.ts";

const SMALL = [
  { nodes: 1, asks: 100 },
  { nodes: 10, asks: 100 },
  { nodes: 100, asks: 1_000 },
  { nodes: 1_000, asks: 1_000 },
] as const;
const LARGE = [{ nodes: 10_000, asks: 1_000 }] as const;

const ZONES = 4;
const COPIES = 100;
/** Enough for a median; the first run warms up and is not counted. */
const RUNS = 5;

const OPTIONS: ScheduleOptions = { seed: 1, strategy: "balanced", defaults: DEFAULT_REQUESTS };

function clusterOf(count: number, asks: number): ClusterModel {
  // Room for all asks with a third to spare, so that a search does not end early nor everywhere.
  const perNode = Math.ceil((asks / count) * 1.34) + 1;
  const nodes = Array.from(
    { length: count },
    (_, index): NodeModel => ({
      id: `node-${index}`,
      cpuMillis: 500 + perNode * 100,
      memoryBytes: GIB + perNode * 128 * MIB,
      diskBytes: 100 * GIB,
      resources: {},
      devices: [],
      labels: { disk: index % 2 === 0 ? "ssd" : "hdd" },
      topology: { zone: `zone-${index % ZONES}` },
      taints: [],
      platform: { os: "linux", architecture: "amd64" },
      reserved: { cpuMillis: 500, memoryBytes: GIB, diskBytes: 0 },
      ready: true,
      draining: false,
      images: index % 3 === 0 ? { "sha256:app": 200 * MIB } : {},
      volumes: [],
      addresses: [],
    }),
  );
  return { nodes, tasks: [] };
}

function plainAsks(count: number): readonly Ask[] {
  return Array.from({ length: count }, (_, index) => {
    const service = `service-${Math.floor(index / COPIES)}`;
    return { id: `${service}.${index % COPIES}`, service, slot: index % COPIES, requests: {} };
  });
}

/** Required zone spread, label constraints, image locality and preferred distance together. */
function richAsks(count: number): readonly Ask[] {
  const onDisk = constraint("node.labels.disk in (ssd, hdd)");
  return plainAsks(count).map((ask) => ({
    ...ask,
    constraints: [onDisk],
    spread: [{ level: "zone", required: true, maxSkew: 1 }],
    images: [{ digest: "sha256:app", bytes: 200 * MIB }],
    antiAffinities: [{ kind: "service", service: "service-0", level: "node", required: false }],
  }));
}

function check(
  cluster: ClusterModel,
  asks: readonly Ask[],
  plan: SchedulePlan,
  even: boolean,
): void {
  assert(plan.placements.length === asks.length, `${plan.refusals.length} asks were refused`);
  const tasksOf = Map.groupBy(plan.placements, ({ node }) => node);
  for (const { id, memoryBytes, reserved } of cluster.nodes) {
    const used = (tasksOf.get(id)?.length ?? 0) * 128 * MIB;
    assert(used <= memoryBytes - reserved.memoryBytes, `${id} has too much`);
  }
  if (!even || cluster.nodes.length < ZONES) return;
  const zoneOf = new Map(cluster.nodes.map(({ id, topology }) => [id, topology["zone"]]));
  const first = plan.placements.filter(({ ask }) => ask.startsWith("service-0."));
  const zones = [...Map.groupBy(first, ({ node }) => zoneOf.get(node)).values()];
  const counts = zones.map((list) => list.length);
  assert(Math.max(...counts) - Math.min(...counts) <= 1, `zones have ${counts.join()} copies`);
}

function measure(name: string, cluster: ClusterModel, asks: readonly Ask[], even: boolean): void {
  check(cluster, asks, schedule(cluster, asks, OPTIONS), even);
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    schedule(cluster, asks, OPTIONS);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const median = times[Math.floor(RUNS / 2)] ?? 0;
  const slowest = times[RUNS - 1] ?? 0;
  const perNode = (median * 1e6) / (asks.length * cluster.nodes.length);
  const columns = [
    name.padEnd(8),
    String(cluster.nodes.length).padStart(6),
    String(asks.length).padStart(6),
    median.toFixed(1).padStart(10),
    slowest.toFixed(1).padStart(10),
    Math.round((asks.length * 1_000) / median)
      .toString()
      .padStart(14),
    Math.round(perNode).toString().padStart(12),
  ];
  console.log(columns.join("  "));
}

/** One ask into a cluster that is in use: the case of a crashed container. */
function measureOne(count: number): void {
  const cluster = clusterOf(count, count * 20);
  const tasks = plainAsks(count * 20).map((ask, index) => ({
    ...ask,
    node: `node-${index % count}`,
  }));
  const busy = { nodes: cluster.nodes, tasks };
  measure("one", busy, [{ id: "new.1", service: "new", requests: {} }], false);
}

console.log("case      nodes    asks   median ms  slowest ms    placements/s  ns/ask/node");
for (const { nodes, asks } of process.argv.includes("--large") ? [...SMALL, ...LARGE] : SMALL) {
  measure("plain", clusterOf(nodes, asks), plainAsks(asks), false);
  measure("rich", clusterOf(nodes, asks), richAsks(asks), true);
}
measureOne(100);
measureOne(1_000);
