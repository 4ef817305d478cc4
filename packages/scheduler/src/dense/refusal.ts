/** Why an ask has no node, counted by the first rule that refuses each node, in the terms of `../plan.ts`. */

import type { Ask } from "../model.ts";
import { neighbour } from "../neighbour.ts";
import { NODES_NAMED_MAX, type Refusal, RULES, type RuleCount, type RuleName } from "../plan.ts";
import { unitOf } from "../resources.ts";
import type { DenseCluster } from "./cluster.ts";
import type { NeighbourRules } from "./rules.ts";
import type { Shape } from "./shape.ts";

interface Found {
  readonly rule: RuleName;
  readonly about: string;
  readonly need?: number;
  readonly best?: number;
  readonly unit?: RuleCount["unit"];
}

/** O(nodes × rules). */
export function refusalOf(
  ask: Ask,
  shape: Shape,
  service: number,
  at: { readonly cluster: DenseCluster; readonly rules: NeighbourRules },
): Refusal {
  const counts = new Map<string, { found: Found; count: number; best: number; nodes: string[] }>();
  at.cluster.nodes.forEach(({ model }, node) => {
    const found = findingAt(shape, service, node, at);
    const key = `${found.rule} ${found.about}`;
    const known = counts.get(key) ?? { found, count: 0, best: found.best ?? 0, nodes: [] };
    counts.set(key, known);
    known.count++;
    known.best = Math.max(known.best, found.best ?? 0);
    if (known.nodes.length < NODES_NAMED_MAX) known.nodes.push(model.id);
  });
  const rules = [...counts.values()].map(({ found, count, best, nodes }): RuleCount => {
    const { rule, about, need, unit } = found;
    const amounts = need === undefined ? {} : { need, bestAvailable: best };
    return {
      rule,
      about,
      count,
      ...amounts,
      ...(unit === undefined ? {} : { unit }),
      nodes: nodes.sort(),
    };
  });
  rules.sort(
    (a, b) => RULES.indexOf(a.rule) - RULES.indexOf(b.rule) || (a.about < b.about ? -1 : 1),
  );
  return { ask: ask.id, nodesTotal: at.cluster.size, rules, hints: [] };
}

function findingAt(
  shape: Shape,
  service: number,
  node: number,
  { cluster, rules }: { readonly cluster: DenseCluster; readonly rules: NeighbourRules },
): Found {
  const state = cluster.nodes[node];
  if (cluster.usable[node] === 0) {
    return { rule: state?.draining === true ? "draining" : "ready", about: "node" };
  }
  const reason = shape.reasons[(shape.standing[node] ?? 0) - 1];
  if (reason !== undefined) return reason;
  const short = shortage(shape, node, cluster);
  if (short !== undefined) return short;
  if ((cluster.tasksOn[node] ?? 0) >= (cluster.maxTasks[node] ?? 0)) {
    return { rule: "max-tasks", about: "tasks" };
  }
  const rule = rules.refusal(shape, service, node);
  // Room, devices and neighbours: nothing else can have refused it.
  if (rule === undefined) return { rule: "devices", about: deviceNames(shape) };
  const [first] = rule === "affinity" ? shape.near : shape.apart;
  if (rule === "max-per-node") return { rule, about: "copies", need: shape.maxPerNode };
  if (rule === "spread") {
    const [spread] = shape.spreads;
    return { rule, about: cluster.levels.at(spread?.level ?? 0).name, need: spread?.maxSkew ?? 1 };
  }
  const other = first ?? { service, level: 0 };
  return {
    rule,
    about: neighbour(cluster.services.nameOf(other.service), cluster.levels.at(other.level).name),
  };
}

function shortage(shape: Shape, node: number, cluster: DenseCluster): Found | undefined {
  for (const [at, dim] of shape.dims.entries()) {
    const need = shape.amounts[at] ?? 0;
    const best =
      dim >= cluster.width ? 0 : Math.max(0, cluster.free[node * cluster.width + dim] ?? 0);
    if (best >= need) continue;
    const about = cluster.resources.nameOf(dim);
    return { rule: "resources", about, need, best, unit: unitOf(about) };
  }
  return undefined;
}

function deviceNames(shape: Shape): string {
  return shape.devices
    .map(({ kind, models }) => (models.length === 0 ? kind : `${kind} (${models.join(" or ")})`))
    .join(" and ");
}
