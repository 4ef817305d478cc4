/** The rows of the benchmark of the engine of typed arrays; each checks what came out before it reports. */

import { assert, MIB, Prng } from "@berth/base";
import { NONE } from "../src/dense/cluster.ts";
import { Engine } from "../src/dense/engine.ts";
import type { Ask, NodeModel } from "../src/model.ts";
import { nodesFor } from "./bench-cluster.ts";

export interface EngineFigures {
  readonly placements: number;
  readonly cpuMs: number;
  readonly visits: number;
  /** Placements per second of a scan of the same nodes. */
  readonly naivePerSecond?: number;
  /** Of single asks, in microseconds, sorted: by the clock, and in processor time of the thread. */
  readonly latencies?: Float64Array;
  readonly cpuLatencies?: Float64Array;
}

export interface EngineRow {
  readonly what: string;
  readonly goal: string;
  readonly run: (scale: number) => EngineFigures;
}

const COPIES = 100;
/** Placements of the naive scan: enough for a rate, few enough to wait for. */
const NAIVE = 2_000;

export const ENGINE_ROWS: Readonly<Record<string, EngineRow>> = {
  plain: {
    what: "10,000 nodes, 1,000,000 tasks in services of 100, four sizes",
    goal: "300,000/s; 10 times a naive scan",
    run: (scale) => plain(10_000 * scale, 1_000_000 * scale, true),
  },
  churn: {
    what: "10,000 nodes, 5,000 interleaved services of 200 sizes, half released while placing",
    goal: "100,000/s; 600 visits",
    run: churn,
  },
  rules: {
    what: "10,000 nodes, zone spread, one per node, labels, image locality",
    goal: "50,000/s",
    run: (scale) => batches(10_000 * scale, 100_000 * scale, ruled, checkZones),
  },
  neighbours: {
    what: "10,000 nodes, required affinity and anti-affinity between services",
    goal: "20,000/s",
    run: (scale) => batches(10_000 * scale, 60_000 * scale, neighbours, checkNeighbours),
  },
  c2m: {
    what: "6,100 nodes, 2,000,000 tasks",
    goal: "30 s; 2 GB",
    run: (scale) => plain(6_100 * scale, 2_000_000 * scale, false),
  },
  large: {
    what: "100,000 nodes, 1,000,000 tasks",
    goal: "same order of cost as plain",
    run: (scale) => plain(100_000 * scale, 1_000_000 * scale, false),
  },
  one: {
    what: "single asks with everything on, 10,000 nodes with 500,000 tasks",
    goal: "p99 1 ms",
    run: one,
  },
};

function engineFor(nodes: readonly NodeModel[]): Engine {
  return new Engine(nodes, { seed: 1, strategy: "tightest" });
}

function sized(kind: number): Partial<Ask> {
  return {
    requests: { cpuMillis: 60 + 20 * (kind % 4), memoryBytes: (80 + 24 * (kind % 3)) * MIB },
  };
}

/** Places copies of services and returns the numbers of their tasks. */
function placeServices(
  engine: Engine,
  tasks: number,
  wanted: (service: number) => Partial<Ask>,
): { readonly placed: Int32Array; readonly cpuMs: number } {
  const placed = new Int32Array(tasks);
  const before = process.cpuUsage();
  for (let service = 0; service * COPIES < tasks; service++) {
    const ask = { id: "", service: `service-${service}`, requests: {}, ...wanted(service) };
    const shape = engine.cluster.shape(ask);
    const number = engine.cluster.services.idOf(ask.service);
    const end = Math.min(tasks, (service + 1) * COPIES);
    for (let at = service * COPIES; at < end; at++) placed[at] = engine.placeOne(shape, number);
  }
  return { placed, cpuMs: cpuSince(before) };
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function plain(nodeCount: number, tasks: number, withNaive: boolean): EngineFigures {
  const nodes = nodesFor(Math.round(nodeCount), Math.round(tasks));
  const engine = engineFor(nodes);
  const { placed, cpuMs } = placeServices(engine, Math.round(tasks), sized);
  checkRoom(engine, placed);
  const naive = withNaive ? { naivePerSecond: naiveRate(nodes) } : {};
  return { placements: placed.length, cpuMs, visits: engine.visits / placed.length, ...naive };
}

/** Best fit over flat arrays, every node looked at. */
function naiveRate(nodes: readonly NodeModel[]): number {
  const cpu = Float64Array.from(nodes, ({ cpuMillis }) => cpuMillis);
  const memory = Float64Array.from(nodes, ({ memoryBytes }) => memoryBytes);
  const before = process.cpuUsage();
  for (let task = 0; task < NAIVE; task++) {
    const { cpuMillis = 0, memoryBytes = 0 } = sized(Math.floor(task / COPIES)).requests ?? {};
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let node = 0; node < nodes.length; node++) {
      const left = (cpu[node] ?? 0) - cpuMillis;
      if (left < 0 || left >= least || (memory[node] ?? 0) < memoryBytes) continue;
      best = node;
      least = left;
    }
    assert(best >= 0, "the naive scan finds room");
    cpu[best] = (cpu[best] ?? 0) - cpuMillis;
    memory[best] = (memory[best] ?? 0) - memoryBytes;
  }
  return (NAIVE * 1_000) / cpuSince(before);
}

function churn(scale: number): EngineFigures {
  const services = Math.round(5_000 * scale);
  const rounds = 120;
  const engine = engineFor(nodesFor(Math.round(10_000 * scale), (services * rounds) / 2));
  const prng = new Prng(7);
  const shapes = Array.from({ length: 200 }, (_, kind) => {
    const requests = {
      cpuMillis: 50 + (kind % 20) * 5,
      memoryBytes: (64 + Math.floor(kind / 20) * 12) * MIB,
    };
    return engine.cluster.shape({ id: "", service: "", requests });
  });
  const numbers = Array.from({ length: services }, (_, at) =>
    engine.cluster.services.idOf(`s${at}`),
  );
  const live: number[] = [];
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round++) {
    for (const [at, number] of numbers.entries()) {
      const shape = shapes[at % shapes.length];
      assert(shape !== undefined, "shapes repeat");
      live.push(engine.placeOne(shape, number));
      if (at % 2 === 0) continue;
      const leaving = prng.int(0, live.length - 1);
      engine.cluster.remove(live[leaving] ?? NONE);
      live[leaving] = live.at(-1) ?? NONE;
      live.pop();
    }
  }
  const cpuMs = cpuSince(before);
  checkRoom(engine, Int32Array.from(live));
  const placements = services * rounds;
  return { placements, cpuMs, visits: engine.visits / placements };
}

function batches(
  nodeCount: number,
  tasks: number,
  wanted: (service: number) => Partial<Ask>,
  check: (engine: Engine, placed: Int32Array) => void,
): EngineFigures {
  const engine = engineFor(nodesFor(Math.round(nodeCount), Math.round(tasks), 2));
  const { placed, cpuMs } = placeServices(engine, Math.round(tasks), wanted);
  checkRoom(engine, placed);
  check(engine, placed);
  return { placements: placed.length, cpuMs, visits: engine.visits / placed.length };
}

function ruled(service: number): Partial<Ask> {
  return {
    ...sized(service),
    constraints: [
      {
        attribute: "node.labels.disk",
        operator: "==",
        values: ["ssd"],
        text: "node.labels.disk==ssd",
      },
    ],
    spread: [{ level: "zone", required: true, maxSkew: 1 }],
    maxPerNode: 1,
    images: [{ digest: "sha256:app", bytes: 200 * MIB }],
  };
}

/** In pairs: the first keeps its copies apart, the second must be where the first is, beside at most two of it. */
function neighbours(service: number): Partial<Ask> {
  const first = `service-${service - (service % 2)}`;
  const apart = { kind: "service" as const, service: first, level: "node", required: true };
  if (service % 2 === 0) return { ...sized(service), antiAffinities: [apart] };
  return { ...sized(service), affinities: [apart], antiAffinities: [{ ...apart, max: 2 }] };
}

function checkRoom(engine: Engine, placed: Int32Array): void {
  assert(!placed.includes(NONE), "everything is placed");
  const { cluster } = engine;
  const used = new Float64Array(cluster.free.length);
  for (const task of placed) {
    const { dims, amounts } = cluster.shapeOfTask(task);
    const base = cluster.nodeOf(task) * cluster.width;
    for (const [at, dim] of dims.entries())
      used[base + dim] = (used[base + dim] ?? 0) + (amounts[at] ?? 0);
  }
  for (const [at, amount] of used.entries())
    assert(amount <= (cluster.total[at] ?? 0), "no node is over its room");
}

function checkZones(engine: Engine, placed: Int32Array): void {
  const { cluster } = engine;
  for (let from = 0; from < placed.length; from += COPIES) {
    const tasks = placed.subarray(from, from + COPIES);
    const nodes = [...tasks].map((task) => cluster.nodes[cluster.nodeOf(task)]?.model);
    assert(new Set(nodes).size === tasks.length, "one copy a node");
    assert(
      nodes.every((node) => node?.labels["disk"] === "ssd"),
      "the label is met",
    );
    const zones = [...Map.groupBy(nodes, (node) => node?.topology["zone"]).values()].map(
      ({ length }) => length,
    );
    assert(Math.max(...zones) - Math.min(...zones) <= 1, "zones differ by one copy at most");
  }
}

function checkNeighbours(engine: Engine, placed: Int32Array): void {
  const { cluster } = engine;
  for (const task of placed) {
    const service = cluster.serviceOf(task);
    const first = service - (service % 2);
    const copies = cluster.copies.count(first, cluster.nodeOf(task));
    assert(copies === 1, "the first is once on its nodes, and the second beside it");
  }
}

function one(scale: number): EngineFigures {
  const tasks = Math.round(500_000 * scale);
  const engine = engineFor(nodesFor(Math.round(10_000 * scale), tasks, 1.6));
  placeServices(engine, tasks, sized);
  const asks = 5_000;
  const latencies = new Float64Array(asks);
  const cpuLatencies = new Float64Array(asks);
  const visits = engine.visits;
  const before = process.cpuUsage();
  for (let at = 0; at < asks; at++) {
    const ask: Ask = {
      id: `one-${at}`,
      service: `service-${at % 500}`,
      requests: {},
      ...ruled(at % 7),
      maxPerNode: 3,
    };
    const cpuStart = process.threadCpuUsage();
    const start = performance.now();
    const [decision] = engine.decide([ask]);
    latencies[at] = (performance.now() - start) * 1_000;
    const { user, system } = process.threadCpuUsage(cpuStart);
    cpuLatencies[at] = user + system;
    assert(decision?.node !== undefined, "a single ask finds its place");
  }
  return {
    placements: asks,
    cpuMs: cpuSince(before),
    visits: (engine.visits - visits) / asks,
    latencies: latencies.sort(),
    cpuLatencies: cpuLatencies.sort(),
  };
}
