/** Was the work really done? What every row of the benchmark checks before it reports. */

import { assert } from "@berth/base";
import type { Ask, NodeModel } from "../src/model.ts";
import { DEFAULT_REQUESTS } from "../src/options.ts";
import type { SchedulePlan } from "../src/plan.ts";

/** Node by ask, after a check that all asks were placed and no node has more than it can give. */
export function checkRoom(
  nodes: readonly NodeModel[],
  asks: readonly Ask[],
  plan: SchedulePlan,
): ReadonlyMap<string, string> {
  assert(plan.placements.length === asks.length, `${plan.refusals.length} asks were refused`);
  const requests = new Map(asks.map((ask) => [ask.id, ask.requests]));
  const used = new Map<string, { cpu: number; memory: number }>();
  for (const { ask, node } of plan.placements) {
    const own = { ...DEFAULT_REQUESTS, ...requests.get(ask) };
    const sum = used.get(node) ?? { cpu: 0, memory: 0 };
    sum.cpu += own.cpuMillis ?? 0;
    sum.memory += own.memoryBytes ?? 0;
    used.set(node, sum);
  }
  for (const { id, cpuMillis, memoryBytes, reserved } of nodes) {
    const { cpu, memory } = used.get(id) ?? { cpu: 0, memory: 0 };
    assert(cpu <= cpuMillis - reserved.cpuMillis, `${id} has too much processor`);
    assert(memory <= memoryBytes - reserved.memoryBytes, `${id} has too much memory`);
  }
  return new Map(plan.placements.map(({ ask, node }) => [ask, node]));
}

/** The copies of each service by what `keyOf` says of their node; `check` gets the counts. */
export function checkServices(
  asks: readonly Ask[],
  nodeOf: ReadonlyMap<string, string>,
  keyOf: (node: string) => string | undefined,
  check: (counts: ReadonlyMap<string | undefined, number>, service: string) => void,
): void {
  for (const [service, copies] of Map.groupBy(asks, (ask) => ask.service)) {
    const counts = new Map<string | undefined, number>();
    for (const { id } of copies) {
      const key = keyOf(nodeOf.get(id) ?? "");
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    check(counts, service);
  }
}
