/** The rows of packing, rebalancing, failure analysis and co-location; each checks its result on its own. */

import { assert, Prng } from "@berth/base";
import type { Ask, NodeModel } from "../src/model.ts";
import { useOf } from "../src/trace/summary.ts";
import { analyseFailures } from "../src/whole/failures.ts";
import { pack } from "../src/whole/packing.ts";
import { rebalance } from "../src/whole/rebalancing.ts";
import { nodesFor } from "./bench-cluster.ts";

export interface WholeRow {
  readonly what: string;
  readonly goal: string;
  readonly run: (scale: number, budgetMs: number) => Readonly<Record<string, number | string>>;
}

export const WHOLE_ROWS: Readonly<Record<string, WholeRow>> = {
  packing: {
    what: "36 vector packing instances of 50 to 200 items and 3 to 10 dimensions, 1 s each, hosts summed",
    goal: "fewer than greedy L2 by more than 1.3 %, as the best of 200 heuristics is on the public instances",
    run: packing,
  },
  rebalance: {
    what: "1,000 hosts, 20,000 tasks, 6 resources, soft limits at 80 %, one a host, two places",
    goal: "95 % of the gap between start and bound closed within a minute",
    run: rebalancing,
  },
  failures: {
    what: "every single one of 1,000 nodes fails, 20,000 tasks",
    goal: "5 s",
    run: failures,
  },
  colocation: {
    what: "6,000 hosts, 68,000 tasks, 35,000 limits between services",
    goal: "no violation, at most 1.25 times the bound of the sums",
    run: colocation,
  },
};

const EMPTY: NodeModel = {
  ...(nodesFor(1, 1)[0] as NodeModel),
  images: {},
  labels: {},
  topology: {},
};

function host(
  id: string,
  resources: Readonly<Record<string, number>>,
  more: Partial<NodeModel> = {},
): NodeModel {
  const none = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };
  return { ...EMPTY, ...none, reserved: none, id, resources, ...more };
}

function amounts(values: readonly number[]): Readonly<Record<string, number>> {
  return Object.fromEntries(values.map((value, at) => [`r${at}`, value]));
}

function until(budgetMs: number): (steps: number) => boolean {
  const end = performance.now() + budgetMs;
  return () => performance.now() >= end;
}

/** Every host bears what is on it. */
function checkCapacity(
  nodes: readonly NodeModel[],
  asks: readonly Ask[],
  nodeOf: (id: string) => string | undefined,
): void {
  const free = new Map(nodes.map(({ id, resources }) => [id, { ...resources }]));
  for (const { id, requests } of asks) {
    const room = free.get(nodeOf(id) ?? "");
    assert(room !== undefined, `${id} has a host`);
    for (const [name, amount] of Object.entries(requests.resources ?? {}))
      room[name] = (room[name] ?? 0) - amount;
  }
  for (const room of free.values())
    assert(
      Object.values(room).every((left) => left >= 0),
      "no host is over its room",
    );
}

function packing(scale: number, budgetMs: number): Readonly<Record<string, number>> {
  const prng = new Prng(5);
  const sums = { hosts: 0, first: 0, bound: 0, greedyL2: 0, firstFitDecreasing: 0 };
  for (const dims of [3, 5, 8, 10]) {
    for (const count of [50, 100, 200]) {
      for (const [low, high] of [
        [100, 400],
        [1, 600],
        [133, 667],
      ] as const) {
        const items = Array.from({ length: Math.round(count * scale) }, () =>
          Array.from({ length: dims }, () => prng.int(low, high)),
        );
        const nodes = items.map((_, at) => host(`n${at}`, amounts(Array(dims).fill(1_000))));
        const asks = items.map(
          (item, at): Ask => ({
            id: `a${at}`,
            service: `a${at}`,
            requests: { resources: amounts(item) },
          }),
        );
        const result = pack({ nodes, asks, seed: 1, isOver: until(budgetMs / 10) });
        checkCapacity(nodes, asks, (id) => result.placements.get(id)?.node);
        sums.hosts += result.hostsUsed;
        sums.first += result.hostsFirst;
        sums.bound += Math.max(
          ...(items[0]?.map((_, dim) =>
            Math.ceil(items.reduce((sum, item) => sum + (item[dim] ?? 0), 0) / 1_000),
          ) ?? [0]),
        );
        sums.greedyL2 += greedyL2(items);
        sums.firstFitDecreasing += firstFitDecreasing(items);
      }
    }
  }
  return sums;
}

/** Host by host, always the item that leaves the least: Panigrahy et al., "Heuristics for Vector Bin Packing", 2011. */
function greedyL2(items: readonly (readonly number[])[]): number {
  const open = new Set(items);
  const weights =
    items[0]?.map((_, dim) => items.reduce((sum, item) => sum + (item[dim] ?? 0), 0)) ?? [];
  let hosts = 0;
  for (; open.size > 0; hosts++) {
    const free = weights.map(() => 1_000);
    for (;;) {
      let best: readonly number[] | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const item of open) {
        if (!item.every((amount, dim) => amount <= (free[dim] ?? 0))) continue;
        const left = item.reduce(
          (sum, amount, dim) => sum + (weights[dim] ?? 0) * ((free[dim] ?? 0) - amount) ** 2,
          0,
        );
        if (left < least) [best, least] = [item, left];
      }
      if (best === undefined) break;
      for (const [dim, amount] of best.entries()) free[dim] = (free[dim] ?? 0) - amount;
      open.delete(best);
    }
  }
  return hosts;
}

function firstFitDecreasing(items: readonly (readonly number[])[]): number {
  const sumOf = (item: readonly number[]) => item.reduce((sum, amount) => sum + amount, 0);
  const hosts: number[][] = [];
  for (const item of [...items].sort((a, b) => sumOf(b) - sumOf(a))) {
    const fits = (free: readonly number[]) =>
      item.every((amount, dim) => amount <= (free[dim] ?? 0));
    const free = hosts.find(fits) ?? item.map(() => 1_000);
    if (!hosts.includes(free)) hosts.push(free);
    for (const [dim, amount] of item.entries()) free[dim] = (free[dim] ?? 0) - amount;
  }
  return hosts.length;
}

function rebalancing(scale: number, budgetMs: number): Readonly<Record<string, number | string>> {
  const prng = new Prng(3);
  const [hosts, tasks, dims] = [Math.round(1_000 * scale), Math.round(20_000 * scale), 6];
  const capacities = Array.from({ length: hosts }, () =>
    Array.from({ length: dims }, () => prng.int(80_000, 120_000)),
  );
  const nodes = capacities.map((each, at) =>
    host(`n${at}`, amounts(each), { topology: { location: `l${at % 20}` } }),
  );
  const soft = capacities.map((each) => amounts(each.map((amount) => Math.floor(0.8 * amount))));
  const free = capacities.map((each) => [...each]);
  const held = nodes.map(() => new Set<string>());
  const initial = new Map<string, { node: string }>();
  const asks: Ask[] = [];
  for (let task = 0; task < tasks; task++) {
    const service = `s${Math.floor(task / 5)}`;
    const wanted = Array.from({ length: dims }, () =>
      prng.int(10, Math.round((2 * 0.78 * 100_000 * hosts) / tasks)),
    );
    // The beginning is crowded at one end: what came first was put first.
    for (let trial = 0; trial < 60; trial++) {
      const at = Math.min(hosts - 1, Math.floor(prng.float() ** 1.6 * hosts));
      const room = free[at] ?? [];
      if (
        held[at]?.has(service) === true ||
        !wanted.every((amount, dim) => amount <= (room[dim] ?? 0))
      )
        continue;
      for (const [dim, amount] of wanted.entries()) room[dim] = (room[dim] ?? 0) - amount;
      held[at]?.add(service);
      initial.set(`p${task}`, { node: `n${at}` });
      asks.push({
        id: `p${task}`,
        service,
        requests: { resources: amounts(wanted) },
        maxPerNode: 1,
      });
      break;
    }
  }
  const traced = asks.map((ask) => ({
    ask,
    arriveMs: undefined,
    departMs: undefined,
    minDomains: new Map([["location", 2]]),
  }));
  const isOver = until(budgetMs);
  const { objective, moves, placements } = rebalance({
    nodes,
    soft,
    asks: traced,
    initial,
    moves: asks.length,
    transient: [],
    seed: 1,
    isOver,
  });
  checkCapacity(nodes, asks, (id) => placements.get(id));
  const { before, after, lowerBound } = objective;
  return {
    tasks: asks.length,
    before,
    after,
    lowerBound,
    closed: (before - after) / (before - lowerBound),
    moves: moves.length,
  };
}

function failures(scale: number): Readonly<Record<string, number>> {
  const [hosts, tasks] = [Math.round(1_000 * scale), Math.round(20_000 * scale)];
  const nodes = nodesFor(hosts, tasks, 1.2);
  const running = Array.from({ length: tasks }, (_, at) => ({
    ask: {
      id: `t${at}`,
      service: `s${Math.floor(at / 20)}`,
      requests: { cpuMillis: 100, memoryBytes: 128 * 2 ** 20 },
    },
    node: `node-${at % hosts}`,
  }));
  const start = performance.now();
  const answers = analyseFailures({ nodes, running, level: "node", seed: 1, strategy: "tightest" });
  const seconds = (performance.now() - start) / 1_000;
  assert(
    answers.reduce((sum, answer) => sum + answer.tasks, 0) === tasks,
    "every task was placed once more",
  );
  return {
    seconds,
    fitting: answers.filter(({ unplaced }) => unplaced.length === 0).length,
    nodes: hosts,
  };
}

function colocation(scale: number, budgetMs: number): Readonly<Record<string, number>> {
  const prng = new Prng(4);
  const [hosts, tasks, services] = [
    Math.round(6_000 * scale),
    Math.round(68_000 * scale),
    Math.round(9_300 * scale),
  ];
  const nodes = Array.from({ length: hosts }, (_, at) =>
    host(`n${at}`, {
      cpu1: at % 2 === 0 ? 32_000 : 92_000,
      memory1: at % 2 === 0 ? 64_000 : 288_000,
      disk1: at % 2 === 0 ? 600 : 1_024,
    }),
  );
  const limits = new Map<number, Map<number, number>>();
  const limit = (of: number, on: number, max: number) =>
    limits.set(of, (limits.get(of) ?? new Map()).set(on, max));
  for (let at = 0; at < 35_000 * scale; at++)
    limit(prng.int(0, services - 1), prng.int(0, services - 1), Math.max(0, prng.int(-2, 3)));
  for (let at = 0; at < services; at += 2) limit(at, at, prng.int(0, 2));
  const kinds = Array.from({ length: services }, () => amountsOf(prng));
  const asks = Array.from({ length: tasks }, (_, at): Ask => {
    const service = at < services ? at : Math.floor(prng.float() ** 2 * services);
    const apart = [...(limits.get(service) ?? [])].map(([other, max]) => ({
      kind: "service" as const,
      service: `s${other}`,
      level: "node",
      required: true,
      max,
    }));
    return {
      id: `a${at}`,
      service: `s${service}`,
      requests: { resources: kinds[service] ?? {} },
      antiAffinities: apart,
    };
  });
  const { placements, hostsUsed, hostsFirst, refusals } = pack({
    nodes,
    asks,
    seed: 1,
    isOver: until(budgetMs),
  });
  assert(refusals.length === 0, "everything is placed");
  checkCapacity(nodes, asks, (id) => placements.get(id)?.node);
  checkLimits(asks, (id) => placements.get(id)?.node ?? "", limits);
  const placed = asks.map(({ id, requests }) => ({
    node: placements.get(id)?.node ?? "",
    requests,
  }));
  const { lowerBound } = useOf(nodes, placed, []);
  return { hostsUsed, hostsFirst, lowerBound, ratio: hostsUsed / lowerBound };
}

function amountsOf(prng: Prng): Readonly<Record<string, number>> {
  const size = 2 ** prng.int(0, 5);
  return {
    cpu1: 170 * size,
    memory1: 340 * 2 ** prng.int(0, 4),
    disk1: prng.pick([13, 20, 27, 33, 67]),
  };
}

function checkLimits(
  asks: readonly Ask[],
  nodeOf: (id: string) => string,
  limits: ReadonlyMap<number, ReadonlyMap<number, number>>,
): void {
  const counts = new Map<string, Map<string, number>>();
  for (const { id, service } of asks) {
    const here = counts.get(nodeOf(id)) ?? new Map<string, number>();
    counts.set(nodeOf(id), here.set(service, (here.get(service) ?? 0) + 1));
  }
  for (const here of counts.values()) {
    for (const service of here.keys()) {
      for (const [other, max] of limits.get(Number(service.slice(1))) ?? []) {
        const beside = (here.get(`s${other}`) ?? 0) - (service === `s${other}` ? 1 : 0);
        assert(beside <= max, `at most ${max} of s${other} beside ${service}`);
      }
    }
  }
}
