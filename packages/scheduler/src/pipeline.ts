/**
 * Filters, then scores: which nodes will do for one ask, and which of them is best.
 *
 * A node is asked the rules in the order of `RULES` and counts for the first that refuses it. Among the
 * nodes that are left the highest weighted sum of points wins, then the lower place (rank, then id),
 * so that the choice is a function of cluster, ask and seed. Cost: O(nodes × rules) for one ask.
 */

import type { Check, Filter, Finding, Reach, Subject, UsableNodes } from "./filter.ts";
import { addresses } from "./filters/addresses.ts";
import { affinity } from "./filters/affinity.ts";
import { antiAffinity } from "./filters/anti-affinity.ts";
import { constraints } from "./filters/constraints.ts";
import { devices } from "./filters/devices.ts";
import { draining } from "./filters/draining.ts";
import { maxPerNode } from "./filters/max-per-node.ts";
import { maxTasks } from "./filters/max-tasks.ts";
import { pinned } from "./filters/pinned.ts";
import { platform } from "./filters/platform.ts";
import { pod } from "./filters/pod.ts";
import { ports } from "./filters/ports.ts";
import { readiness } from "./filters/readiness.ts";
import { resources } from "./filters/resources.ts";
import { spread } from "./filters/spread.ts";
import { taints } from "./filters/taints.ts";
import { volumes } from "./filters/volumes.ts";
import type { Strategy } from "./model.ts";
import type { NodeState } from "./node-state.ts";
import { type ScheduleOptions, weightsFor, weightsOf } from "./options.ts";
import { RULES, type RuleName, type ScoreReason } from "./plan.ts";
import { sameValue } from "./same-value.ts";
import type { PointsReach, Score } from "./score.ts";
import { affinityScore } from "./scores/affinity.ts";
import { failuresScore } from "./scores/failures.ts";
import { fitScore } from "./scores/fit.ts";
import { imagesScore } from "./scores/images.ts";
import { spreadScore } from "./scores/spread.ts";
import { stabilityScore } from "./scores/stability.ts";
import { taintsScore } from "./scores/taints.ts";

/** By rule; the compiler refuses a rule without a filter. */
export const FILTERS: Readonly<Record<RuleName, Filter>> = {
  ready: readiness,
  draining,
  pinned,
  pod,
  platform,
  constraints,
  taints,
  volumes,
  addresses,
  ports,
  devices,
  resources,
  "max-tasks": maxTasks,
  affinity,
  "anti-affinity": antiAffinity,
  "max-per-node": maxPerNode,
  spread,
};

/** All but the fit, which is the strategy's. */
const OTHER_SCORES: readonly Score[] = [
  spreadScore,
  affinityScore,
  imagesScore,
  stabilityScore,
  taintsScore,
  failuresScore,
];

/** A finding and the rule that made it. */
export interface RuleFinding extends Finding {
  readonly rule: RuleName;
}

export interface RuleCheck {
  readonly rule: RuleName;
  readonly check: Check;
}

/** The rules as checks for one ask, in order. */
export function prepareChecks(subject: Subject): readonly RuleCheck[] {
  return RULES.flatMap((rule) => FILTERS[rule].prepare(subject).map((check) => ({ rule, check })));
}

const LOOKING_BEYOND = Object.values(FILTERS).filter(
  ({ looksBeyond }) => looksBeyond !== undefined,
);
const NARROWING = Object.values(FILTERS).filter(({ only }) => only !== undefined);

/** What the rules of the ask say beyond the node; `undefined` when one of them can only say it node by node. */
export function reachesOf(subject: Subject, usable: UsableNodes): readonly Reach[] | undefined {
  let all = NO_REACHES;
  for (const { looksBeyond, reaches } of LOOKING_BEYOND) {
    if (looksBeyond?.(subject) !== true) continue;
    const found = reaches?.(subject, usable);
    if (found === undefined) return undefined;
    all = all.length === 0 ? found : [...all, ...found];
  }
  return all;
}

const NO_REACHES: readonly Reach[] = [];

/** Ids of the only nodes that may do, where a rule knows; `undefined`: any. */
export function onlyNodes(subject: Subject): readonly string[] | undefined {
  for (const { only } of NARROWING) {
    const nodes = only?.(subject);
    if (nodes !== undefined) return nodes;
  }
  return undefined;
}

/** Points that depend on more than the node, with their weight. */
export interface WeightedReach {
  readonly weight: number;
  readonly reach: PointsReach;
}

/** Those of the ask under the strategy in force. */
export function pointsReaches(
  subject: Subject,
  options: ScheduleOptions,
): readonly WeightedReach[] {
  const weights = weightsFor(subject.ask, options);
  return OTHER_SCORES.flatMap(({ name, reach }) => {
    const found = weights[name] === 0 ? undefined : reach?.(subject);
    return found === undefined ? [] : [{ weight: weights[name], reach: found }];
  });
}

/** The first rule that refuses the node. */
export function firstFinding(
  checks: readonly RuleCheck[],
  node: NodeState,
): RuleFinding | undefined {
  for (const { rule, check } of checks) {
    const finding = check(node);
    if (finding !== undefined) return { rule, ...finding };
  }
  return undefined;
}

/** Everything that refuses the node, each once: mutual anti-affinity is one obstacle, not two. */
export function allFindings(checks: readonly RuleCheck[], node: NodeState): readonly RuleFinding[] {
  return distinct(
    checks.flatMap(({ rule, check }) => {
      const finding = check(node);
      return finding === undefined ? [] : [{ rule, ...finding }];
    }),
  );
}

/** Without repetitions, in the order of first occurrence. */
export function distinct(findings: readonly RuleFinding[]): readonly RuleFinding[] {
  if (findings.length < 2) return findings;
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}

/** Weighted points of an ask. */
export interface Scorer {
  /** The sum, for comparison. */
  readonly total: (node: NodeState) => number;
  /** The parts, for the reader. */
  readonly reasons: (node: NodeState) => readonly ScoreReason[];
}

/** The scores of one ask under the strategy in force: its own, else that of the options. */
export function scorerOf(subject: Subject, options: ScheduleOptions): Scorer {
  const strategy = subject.ask.strategy ?? options.strategy;
  const weights = weightsFor(subject.ask, options);
  const usual = weightsOf(strategy);
  const parts = scoresOf(strategy).flatMap(({ name, prepare }) => {
    const points = weights[name] === 0 ? undefined : prepare(subject);
    const tuned = weights[name] === usual[name] ? {} : { usualWeight: usual[name] };
    return points === undefined ? [] : [{ name, points, weight: weights[name], tuned }];
  });
  let latest: readonly ScoreReason[] = [];
  return {
    total: (node) => {
      let sum = 0;
      for (const { points, weight } of parts) sum += weight * points(node);
      return sum;
    },
    reasons: (node) => {
      const reasons: ScoreReason[] = [];
      for (const { name, points, weight, tuned } of parts) {
        const own = points(node);
        if (own !== 0) reasons.push({ score: name, points: own, weight, ...tuned });
      }
      // Copies of a service mostly have the same, and one list serves them all.
      if (!sameValue(latest, reasons)) latest = reasons;
      return latest;
    },
  };
}

/** The scores of a shape (`ask-shape.ts`), weighted. */
export interface ShapeScores {
  /** The part that changes with what is on the node. */
  readonly fit: (node: NodeState) => number;
  /** The part that does not. */
  readonly lasting: (node: NodeState) => number;
}

/** Those of the ask of the subject, which is one of a shape. */
export function shapeScoresOf(subject: Subject, options: ScheduleOptions): ShapeScores {
  const strategy = subject.ask.strategy ?? options.strategy;
  const fit = fitScore(strategy).prepare(subject);
  const weight = weightsFor(subject.ask, options).fit;
  const withoutFit = { ...subject.ask, weights: { ...subject.ask.weights, fit: 0 } };
  const others = scorerOf({ ...subject, ask: withoutFit }, options);
  return {
    fit: fit === undefined || weight === 0 ? () => 0 : (node) => weight * fit(node),
    lasting: others.total,
  };
}

function scoresOf(strategy: Strategy): readonly Score[] {
  return [fitScore(strategy), ...OTHER_SCORES];
}

/** A node that will do, with its score. */
export interface Candidate {
  readonly node: NodeState;
  readonly score: number;
}

/** Best first; an order without ties. */
export function compareCandidates(a: Candidate, b: Candidate): number {
  return b.score - a.score || a.node.place - b.node.place;
}
