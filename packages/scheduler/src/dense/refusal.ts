/** Why an ask has no node, counted by the first rule that refuses each node, in the terms of `../plan.ts`. */

import type { Ask } from "../model.ts";
import { neighbour } from "../neighbour.ts";
import { NODES_NAMED_MAX, type Refusal, RULES, type RuleCount, type RuleName } from "../plan.ts";
import { unitOf } from "../resources.ts";
import type { DenseCluster } from "./cluster.ts";
import type { NeighbourRules } from "./rules.ts";
import type { Shape } from "./shape.ts";

/** Findings of a node, as numbers: these, then the reasons of the shape's standing rules, then its resources. */
const FINDINGS = [
  "ready",
  "draining",
  "max-tasks",
  "devices",
  "affinity",
  "anti-affinity",
  "max-per-node",
  "spread",
] as const satisfies readonly RuleName[];
type Finding = (typeof FINDINGS)[number];

/** What the nodes were found to lack, by finding. */
interface Counted {
  readonly counts: Int32Array;
  /** The most free of each resource of the shape among the nodes that lack it. */
  readonly best: Float64Array;
  /** The first nodes by finding. */
  readonly nodes: (string[] | undefined)[];
}

export interface RefusalSite {
  readonly cluster: DenseCluster;
  readonly rules: NeighbourRules;
}

/**
 * O(nodes × rules), in numbers: in a full cluster most asks of a trace are refused.
 */
export function refusalOf(ask: Ask, shape: Shape, service: number, at: RefusalSite): Refusal {
  const { counts, best, nodes } = countFindings(shape, service, at);
  const rules: RuleCount[] = [];
  for (const [finding, count] of counts.entries()) {
    if (count === 0) continue;
    const named = (nodes[finding] ?? []).sort();
    rules.push({ ...findingOf(finding, shape, service, at.cluster, best), count, nodes: named });
  }
  rules.sort(
    (a, b) => RULES.indexOf(a.rule) - RULES.indexOf(b.rule) || (a.about < b.about ? -1 : 1),
  );
  return { ask: ask.id, nodesTotal: at.cluster.size, rules, hints: [] };
}

function countFindings(shape: Shape, service: number, { cluster, rules }: RefusalSite): Counted {
  const firstReason = FINDINGS.length;
  const firstResource = firstReason + shape.reasons.length;
  const counts = new Int32Array(firstResource + shape.dims.length);
  const best = new Float64Array(shape.dims.length);
  const nodes: (string[] | undefined)[] = [];
  const concerned = rules.concerns(shape, service);
  for (let node = 0; node < cluster.size; node++) {
    let finding: number;
    const standing = shape.standing[node] ?? 0;
    if (cluster.usable[node] === 0) {
      finding = numberOf(cluster.nodes[node]?.draining === true ? "draining" : "ready");
    } else if (standing > 0) finding = firstReason + standing - 1;
    else {
      const short = shortage(shape, node, cluster);
      if (short >= 0) {
        finding = firstResource + short;
        best[short] = Math.max(best[short] ?? 0, freeOf(shape, short, node, cluster));
      } else finding = numberOf(findingAround(shape, service, node, { cluster, rules }, concerned));
    }
    const count = (counts[finding] ?? 0) + 1;
    counts[finding] = count;
    if (count > NODES_NAMED_MAX) continue;
    const named = nodes[finding] ?? [];
    nodes[finding] = named;
    named.push(cluster.nodes[node]?.model.id ?? "");
  }
  return { counts, best, nodes };
}

function numberOf(finding: Finding): number {
  return FINDINGS.indexOf(finding);
}

function findingAround(
  shape: Shape,
  service: number,
  node: number,
  { cluster, rules }: RefusalSite,
  concerned: boolean,
): Finding {
  if ((cluster.tasksOn[node] ?? 0) >= (cluster.maxTasks[node] ?? 0)) return "max-tasks";
  // Room, devices and neighbours: nothing else can have refused it.
  return (concerned ? rules.refusal(shape, service, node) : undefined) ?? "devices";
}

function findingOf(
  finding: number,
  shape: Shape,
  service: number,
  cluster: DenseCluster,
  bests: Float64Array,
): Omit<RuleCount, "count" | "nodes"> {
  const reason = shape.reasons[finding - FINDINGS.length];
  if (reason !== undefined) return reason;
  const rule = FINDINGS[finding];
  if (rule === undefined) {
    const at = finding - FINDINGS.length - shape.reasons.length;
    const about = cluster.resources.nameOf(shape.dims[at] ?? 0);
    const need = shape.amounts[at] ?? 0;
    return { rule: "resources", about, need, bestAvailable: bests[at] ?? 0, unit: unitOf(about) };
  }
  switch (rule) {
    case "ready":
    case "draining":
      return { rule, about: "node" };
    case "max-tasks":
      return { rule, about: "tasks" };
    case "devices":
      return { rule, about: deviceNames(shape) };
    case "max-per-node":
      return { rule, about: "copies", need: shape.maxPerNode, bestAvailable: 0 };
    case "spread": {
      const [spread] = shape.spreads;
      const about = cluster.levels.at(spread?.level ?? 0).name;
      return { rule, about, need: spread?.maxSkew ?? 1, bestAvailable: 0 };
    }
    case "affinity":
    case "anti-affinity": {
      const [first] = rule === "affinity" ? shape.near : shape.apart;
      const { service: other, level } = first ?? { service, level: 0 };
      const about = neighbour(cluster.services.nameOf(other), cluster.levels.at(level).name);
      return { rule, about };
    }
  }
}

/** The first resource of the shape of which the node has too little; -1 when there is none. */
function shortage(shape: Shape, node: number, cluster: DenseCluster): number {
  const { dims, amounts } = shape;
  for (let at = 0; at < dims.length; at++) {
    if (freeOf(shape, at, node, cluster) < (amounts[at] ?? 0)) return at;
  }
  return -1;
}

function freeOf({ dims }: Shape, at: number, node: number, cluster: DenseCluster): number {
  const dim = dims[at] ?? 0;
  // What lies beyond the node's resources is a resource that no node has.
  return dim >= cluster.width ? 0 : Math.max(0, cluster.free[node * cluster.width + dim] ?? 0);
}

function deviceNames(shape: Shape): string {
  return shape.devices
    .map(({ kind, models }) => (models.length === 0 ? kind : `${kind} (${models.join(" or ")})`))
    .join(" and ");
}
