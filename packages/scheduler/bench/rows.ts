/**
 * The rows of the benchmark. Each makes its cluster, takes the time of the engine alone, and checks what came
 * out before it says how long it took.
 */

import { assert, MIB, Prng, present } from "@berth/base";
import type { Ask, NodeModel } from "../src/model.ts";
import type { SchedulePlan } from "../src/plan.ts";
import { constraint } from "../src/testing/fixtures.ts";
import { Transaction } from "../src/transaction.ts";
import { asksOf, COPIES, copyOf, IMAGES, nodesFor, OPTIONS, ZONES } from "./bench-cluster.ts";
import { NaiveScan } from "./naive-scan.ts";
import { checkRoom, checkServices } from "./plan-check.ts";

export interface Figures {
  readonly placements: number;
  readonly cpuMs: number;
  /** Nodes looked at for a placement, in the mean; `NaN` where they are not counted. */
  readonly visits: number;
  /** Of the whole process, the asks included; at the end of the row when absent. */
  readonly rssBytes?: number;
  /** Of single asks, in microseconds of the clock: the time of a thread is told in steps of milliseconds. */
  readonly latencies?: readonly number[];
  /** Placements of the naive scan for each second, where it can do the same. */
  readonly naivePerSecond?: number;
}

export interface Row {
  readonly what: string;
  readonly goal: string;
  /** `scale` shrinks nodes and tasks alike, 1 for the real size. */
  readonly run: (scale: number) => Figures;
}

export const ROWS: Readonly<Record<string, Row>> = {
  plain: {
    what: "10,000 nodes, 1,000,000 tasks in services of 100",
    goal: "300,000/s; 10 times a naive scan",
    run: (scale) => {
      const nodes = nodesFor(10_000 * scale, 1_000_000 * scale);
      const asks = asksOf(1_000_000 * scale);
      return { ...batch(nodes, asks).figures, naivePerSecond: naivePerSecond(nodes, asks) };
    },
  },
  churn: {
    what: "the same, 5,000 services asking in turn, half released meanwhile",
    goal: "100,000/s; 600 visits",
    run: churn,
  },
  spread: {
    what: "10,000 nodes, zone spread, one per node, constraint, images",
    goal: "50,000/s",
    run: spread,
  },
  affinity: {
    what: "10,000 nodes, required affinity and anti-affinity between services",
    goal: "20,000/s",
    run: affinity,
  },
  preempt: {
    what: "10,000 full nodes with 500,000 tasks, each ask displaces some",
    goal: "10,000/s",
    run: preempt,
  },
  c2m: {
    what: "6,100 nodes, 2,000,000 tasks",
    goal: "30 s; 2 GB",
    run: (scale) => {
      const asks = asksOf(2_000_000 * scale);
      return batch(nodesFor(6_100 * scale, 2_000_000 * scale), asks).figures;
    },
  },
  large: {
    what: "100,000 nodes, 1,000,000 tasks",
    goal: "same order of cost as plain",
    run: (scale) => {
      const asks = asksOf(1_000_000 * scale);
      return batch(nodesFor(100_000 * scale, 1_000_000 * scale), asks).figures;
    },
  },
  one: {
    what: "one ask at a time, 10,000 nodes with 500,000 tasks, everything on",
    goal: "p99 1 ms",
    run: one,
  },
};

/** Processor time of this thread, so that others on the machine do not count. */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** One batch into an empty cluster, reading the cluster included. */
function batch(nodes: readonly NodeModel[], asks: readonly Ask[]) {
  const start = threadMs();
  const transaction = new Transaction({ nodes, tasks: [] }, OPTIONS);
  const plan = transaction.schedule(asks);
  const cpuMs = threadMs() - start;
  // Before the check, whose tables are as large as the plan.
  const rssBytes = process.memoryUsage().rss;
  const nodeOf = checkRoom(nodes, asks, plan);
  const visits = transaction.looks / asks.length;
  return { nodeOf, figures: { placements: asks.length, cpuMs, visits, rssBytes } };
}

/** Asks that the naive scan places for comparison: a second or two. */
const NAIVE_ASKS = 5_000;

/** What a scan does in a second; it must choose as the engine did. */
function naivePerSecond(nodes: readonly NodeModel[], asks: readonly Ask[]): number {
  // In the order of decision, which is by name.
  const first = new Transaction({ nodes, tasks: [] }, OPTIONS).schedule(asks.slice(0, NAIVE_ASKS));
  const { cpuMillis = 0, memoryBytes = 0 } = OPTIONS.defaults;
  const services = new Map(asks.slice(0, NAIVE_ASKS).map((ask) => [ask.id, ask.service]));
  const scan = new NaiveScan(nodes, OPTIONS.seed);
  const start = threadMs();
  for (const { ask, node } of first.placements) {
    const chosen = scan.place(services.get(ask) ?? "", cpuMillis, memoryBytes);
    assert(chosen === node, `${ask}: the scan chooses ${chosen}, the engine ${node}`);
  }
  return (first.placements.length * 1_000) / (threadMs() - start);
}

/** Sizes of requests, as many as a large installation has of its own making. */
const SIZES = 32;

function churn(scale: number): Figures {
  const services = 5_000 * scale;
  const rounds = COPIES * 2;
  const nodes = nodesFor(10_000 * scale, services * rounds);
  const prng = new Prng(7);
  const requests = Array.from({ length: SIZES }, (_, size) => ({ cpuMillis: 50 + 3 * size }));
  const transaction = new Transaction({ nodes, tasks: [] }, OPTIONS);
  const running: string[] = [];
  let placements = 0;
  const start = threadMs();
  for (let slot = 0; slot < rounds; slot++) {
    for (let service = 0; service < services; service++) {
      const size = present(requests[service % SIZES], "size");
      const ask = copyOf(`service-${service}`, slot, { requests: size });
      const plan = transaction.schedule([ask]);
      assert(plan.placements.length === 1, `${ask.id} was refused`);
      placements++;
      running.push(ask.id);
      if (placements % 2 === 0) releaseOne(transaction, running, prng);
    }
  }
  const cpuMs = threadMs() - start;
  const { tasks } = transaction.cluster();
  assert(tasks.length === running.length, "as many run as were not released");
  return { placements, cpuMs, visits: transaction.looks / placements };
}

function releaseOne(transaction: Transaction, running: string[], prng: Prng): void {
  const at = prng.int(0, running.length - 1);
  const id = present(running[at], "task");
  assert(transaction.release(id), `${id} runs`);
  running[at] = present(running.at(-1), "task");
  running.pop();
}

function spread(scale: number): Figures {
  const nodes = nodesFor(10_000 * scale, 300_000 * scale);
  const rules = {
    constraints: [constraint("node.labels.disk in (ssd, hdd)")],
    spread: [{ level: "zone", required: true, maxSkew: 1 }],
    maxPerNode: 1,
    images: IMAGES,
  };
  const asks = asksOf(300_000 * scale, () => rules);
  const { figures, nodeOf } = batch(nodes, asks);
  const zones = new Map(nodes.map(({ id, topology }) => [id, topology["zone"]]));
  checkServices(
    asks,
    nodeOf,
    (node) => node,
    (counts, service) => {
      assert(Math.max(...counts.values()) === 1, `${service} has two copies on a node`);
    },
  );
  checkServices(
    asks,
    nodeOf,
    (node) => zones.get(node),
    (counts, service) => {
      const all = [...counts.values()];
      const skew = all.length < ZONES ? 0 : Math.max(...all) - Math.min(...all);
      assert(all.length === ZONES && skew <= 1, `${service} lies unevenly: ${all.join()}`);
    },
  );
  return figures;
}

/**
 * Services in threes: the first is kept apart from itself on nodes, the second must share its zones, the third keeps
 * off the nodes of the first.
 */
function affinity(scale: number): Figures {
  const nodes = nodesFor(10_000 * scale, 150_000 * scale);
  const asks = asksOf(150_000 * scale, (service) => {
    const first = `service-${service - (service % 3)}`;
    const toward = { kind: "service", service: first, required: true } as const;
    if (service % 3 === 1) return { affinities: [{ ...toward, level: "zone" }], priority: 40 };
    return { antiAffinities: [{ ...toward, level: "node" }], priority: 60 - (service % 3) };
  });
  const { figures, nodeOf } = batch(nodes, asks);
  const nodesOf = new Map<string, Set<string>>();
  for (const { id, service } of asks) {
    const own = nodesOf.get(service) ?? new Set();
    nodesOf.set(service, own.add(nodeOf.get(id) ?? ""));
  }
  const zones = new Map(nodes.map(({ id, topology }) => [id, topology["zone"] ?? ""]));
  for (const [service, own] of nodesOf) {
    const number = Number(service.slice("service-".length));
    const first = nodesOf.get(`service-${number - (number % 3)}`) ?? new Set();
    const near = new Set([...first].map((node) => zones.get(node)));
    if (number % 3 === 0) assert(own.size === COPIES, `${service} shares a node with itself`);
    else if (number % 3 === 2) assert(own.isDisjointFrom(first), `${service} is beside the first`);
    else for (const node of own) assert(near.has(zones.get(node)), `${service} is far away`);
  }
  return figures;
}

/** Asks twice as large as the tasks that run, so that each of them displaces two. */
function preempt(scale: number): Figures {
  const perNode = 50;
  const nodes = nodesFor(10_000 * scale, 10_000 * scale * perNode, 1).map((node) => {
    return { ...node, maxTasks: perNode };
  });
  const tasks = nodes.flatMap(({ id: node }, index) =>
    Array.from({ length: perNode }, (_, slot) => {
      const low = copyOf(`low-${index % 500}`, index * perNode + slot, {
        priority: 10 + (slot % 5),
      });
      return { ...low, node, requests: slot === 0 ? FILLING : {} };
    }),
  );
  const options = { ...OPTIONS, preemption: {} };
  const transaction = new Transaction({ nodes, tasks }, options);
  const asks = asksOf(20_000 * scale, () => ({ requests: TWICE, priority: 90 }));
  const start = threadMs();
  const plan = transaction.schedule(asks);
  const cpuMs = threadMs() - start;
  assert(plan.placements.length === asks.length, `${plan.refusals.length} asks were refused`);
  const running = new Set(transaction.cluster().tasks.map(({ id }) => id));
  for (const { victims = [] } of plan.placements) {
    assert(victims.length > 0 && victims.every((id) => !running.has(id)), "victims are gone");
  }
  const priorityOf = new Map(tasks.map(({ id, priority }) => [id, priority]));
  const highest = plan.placements.flatMap(({ victims = [] }) =>
    victims.map((id) => priorityOf.get(id)),
  );
  assert(
    highest.every((priority) => priority === 10),
    "the lowest go first",
  );
  return { placements: asks.length, cpuMs, visits: Number.NaN };
}

/** Fills the node up, which has room for one task more than its number. */
const FILLING = { cpuMillis: 200, memoryBytes: 256 * MIB };
const TWICE = { cpuMillis: 200, memoryBytes: 256 * MIB };

/** Asks of all kinds, each decided and taken back, so that all of them meet the same cluster. */
function one(scale: number): Figures {
  const nodes = nodesFor(10_000 * scale, 500_000 * scale);
  const transaction = new Transaction({ nodes, tasks: [] }, OPTIONS);
  const tasks = 500_000 * scale;
  assert(transaction.schedule(asksOf(tasks)).refusals.length === 0, "there is room");
  const prng = new Prng(3);
  const latencies: number[] = [];
  const asks = 5_000;
  const looks = transaction.looks;
  for (let index = 0; index < asks; index++) {
    const ask = mixedAsk(index, tasks / COPIES, prng);
    const start = performance.now();
    const plan: SchedulePlan = transaction.schedule([ask]);
    latencies.push((performance.now() - start) * 1_000);
    assert(plan.placements.length === 1, `${ask.id} was refused`);
    transaction.release(`service-${index % (tasks / COPIES)}.${index % COPIES}`);
  }
  latencies.sort((a, b) => a - b);
  const cpuMs = latencies.reduce((sum, each) => sum + each, 0) / 1_000;
  return { placements: asks, cpuMs, visits: (transaction.looks - looks) / asks, latencies };
}

/** Another copy of one of the services, with every rule and preference that there is, in changing company. */
function mixedAsk(index: number, services: number, prng: Prng): Ask {
  const other = `service-${prng.int(0, services - 1)}`;
  const service = { kind: "service", service: other } as const;
  return copyOf(`new-${index}`, 1, {
    requests: { cpuMillis: 50 + 10 * (index % SIZES) },
    constraints: [constraint("node.labels.disk in (ssd, hdd)")],
    spread: [{ level: "zone", required: true, maxSkew: 1 }],
    antiAffinities: [{ ...service, level: "node", required: true }],
    affinities: [{ ...service, level: "zone", required: false }],
    maxPerNode: 1,
    images: IMAGES,
    previousNode: `node-${index}`,
    failedNodes: [`node-${index + 1}`],
  });
}
