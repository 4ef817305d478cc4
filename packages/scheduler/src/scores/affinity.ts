/** Preferred nearness and distance, to nodes by constraint and to services by level. */

import { domainReader } from "../attribute.ts";
import { meetsConstraint } from "../constraint.ts";
import type { Subject } from "../filter.ts";
import type { Ask, NodeAffinity, ServiceAffinity } from "../model.ts";
import type { NodeState } from "../node-state.ts";
import type { Points, Score } from "../score.ts";

const WEIGHT = 50;

/** The sum stays within the range of one score, however many preferences a file lists. */
const POINTS_MAX = 100;

export const affinityScore: Score = {
  name: "affinity",
  prepare: (subject) => pointsOf(pullsOf(subject)),
  reach: (subject) => {
    if (!prefersServices(subject.ask)) return undefined;
    const pulls = pullsOf(subject);
    const services = pulls.flatMap((pull) => (pull.service === undefined ? [] : [pull]));
    return {
      points: pointsOf(pulls) ?? (() => 0),
      levels: services.flatMap(({ level }) => (level === "node" ? [] : [level])),
      most: (node, level) => limited(pulls.reduce((sum, pull) => sum + most(pull, node, level), 0)),
      favoured: () =>
        services
          .filter(({ level, weight }) => level === "node" && weight > 0)
          .flatMap(({ service = "" }) => [...subject.cluster.nodesOfService(service)]),
    };
  },
};

/** Does the ask prefer the nearness or distance of a service? */
export function prefersServices({ affinities = [], antiAffinities = [] }: Ask): boolean {
  const preferred = (each: ServiceAffinity | NodeAffinity) =>
    each.kind === "service" && !each.required;
  return affinities.some(preferred) || antiAffinities.some(preferred);
}

/** One preference: points for nodes where it holds. */
interface Pull {
  /** Of distance the negative of what is stated. */
  readonly weight: number;
  /** Undefined: a preference for nodes, each of which has its own answer. */
  readonly service: string | undefined;
  readonly level: string;
  readonly holds: (node: NodeState) => boolean;
}

function pullsOf(subject: Subject): readonly Pull[] {
  const { affinities = [], antiAffinities = [] } = subject.ask;
  const near = affinities.flatMap((each) => pullOf(each, 1, subject) ?? []);
  const far = antiAffinities.flatMap((each) => pullOf(each, -1, subject) ?? []);
  return [...near, ...far];
}

function pullOf(
  wanted: ServiceAffinity | NodeAffinity,
  sign: 1 | -1,
  { cluster }: Subject,
): Pull | undefined {
  const weight = sign * (wanted.weight ?? WEIGHT);
  if (wanted.kind === "node") {
    const { constraint } = wanted;
    const holds = ({ model }: NodeState) => meetsConstraint(model, constraint);
    return { weight, service: undefined, level: "node", holds };
  }
  const { service, level, required } = wanted;
  if (required) return undefined;
  const copies = cluster.copiesByDomain(service, level);
  const domain = domainReader(level);
  const holds = ({ model }: NodeState) => {
    const own = domain(model);
    return own !== undefined && copies.has(own);
  };
  return { weight, service, level, holds };
}

function pointsOf(pulls: readonly Pull[]): Points | undefined {
  if (pulls.length === 0) return undefined;
  return (node) => {
    let sum = 0;
    for (const { weight, holds } of pulls) if (holds(node)) sum += weight;
    return limited(sum);
  };
}

/** The most that a node in the domain gets by this preference alone. */
function most({ weight, service, level, holds }: Pull, node: NodeState, at: string | undefined) {
  if (service !== undefined && level === at) return holds(node) ? weight : 0;
  // Nodes with copies of a service that is wanted near are favoured ones.
  if (service !== undefined && level === "node") return 0;
  return Math.max(0, weight);
}

function limited(sum: number): number {
  const points = Math.round(Math.max(-POINTS_MAX, Math.min(POINTS_MAX, sum)));
  // Not -0, which would print.
  return points === 0 ? 0 : points;
}
