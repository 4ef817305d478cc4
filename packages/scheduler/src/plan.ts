/**
 * What the scheduler answers: placements with the points that decided, refusals with counts. Data first,
 * words once (`explain.ts`), so that a terminal, a console and a test read the same facts.
 */

import type { DeviceAssignment } from "./model.ts";
import type { ScoreName } from "./options.ts";
import type { Overcommit } from "./overcommit.ts";

/** The rules in the order in which they are asked; a node counts for the first that refuses it. */
export const RULES = [
  "ready",
  "draining",
  "pinned",
  "pod",
  "platform",
  "constraints",
  "taints",
  "volumes",
  "addresses",
  "ports",
  "devices",
  "resources",
  "max-tasks",
  "affinity",
  "anti-affinity",
  "max-per-node",
  "spread",
] as const;
export type RuleName = (typeof RULES)[number];

/** Both lists are in the order of decision, which no order of the input changes. */
export interface SchedulePlan {
  readonly placements: readonly Placement[];
  readonly refusals: readonly Refusal[];
}

export interface Placement {
  /** Id of the ask. */
  readonly ask: string;
  /** Id of the node. */
  readonly node: string;
  /** Sum over `reasons` of points times weight; of a pod, the sum of its members. */
  readonly score: number;
  /** Scores that gave points, in the order of `SCORES`. */
  readonly reasons: readonly ScoreReason[];
  /** Nodes that would have done, this one included. */
  readonly candidates: number;
  /** In the order of the requests. */
  readonly devices: readonly DeviceAssignment[];
  /**
   * Ids of the tasks that were displaced for it, the lowest priority first; absent when nobody was. They are gone
   * from the cluster. `candidates` then counts the nodes where it could have displaced somebody.
   */
  readonly victims?: readonly string[];
  /** Hundredths of what the node can give to which requests come with it, where they are more than there is. */
  readonly overcommitted?: Overcommit;
}

export interface ScoreReason {
  readonly score: ScoreName;
  /** Whole number; larger is better; may be negative. */
  readonly points: number;
  readonly weight: number;
  /** The strategy's weight, where somebody tuned it. */
  readonly usualWeight?: number;
}

/** Why an ask has no node, measured against the cluster after all placements of the plan. */
export interface Refusal {
  /** Id of the ask. */
  readonly ask: string;
  readonly nodesTotal: number;
  /** In the order of `RULES`, then of `about`; their counts add up to `nodesTotal`. */
  readonly rules: readonly RuleCount[];
  /** What would make it fit, the smallest change first; at most `HINTS_MAX`. */
  readonly hints: readonly Hint[];
  /** Set when the ask waits because of others that must be placed with it. */
  readonly together?: Together;
}

/** Unit of `need`, `bestAvailable` and `missing`; `millis` are thousandths (of a processor, a device). */
export type Unit = "bytes" | "millis" | "count";

/** The nodes that one rule refused, for one reason. */
export interface RuleCount {
  readonly rule: RuleName;
  /** What it is about: a resource, a constraint as written, a taint, a port, a volume, a service. */
  readonly about: string;
  /** Of a resource that may be overcommitted: the bound in words (`by measured use`, `at 150 %`). */
  readonly beyond?: string;
  readonly count: number;
  readonly need?: number;
  /** The most that any of these nodes has. */
  readonly bestAvailable?: number;
  readonly unit?: Unit;
  /** Who is in the way, where it is the same on all these nodes: the id of a task. */
  readonly holder?: string;
  /** How many are in the way, `holder` included; only when more than one. */
  readonly holders?: number;
  /** Ids, sorted; at most `NODES_NAMED_MAX`. The first is the one with the most where there is a most. */
  readonly nodes: readonly string[];
}

/** The ask belongs to a pod or gang that is placed as a whole or not at all. */
export interface Together {
  readonly kind: "pod" | "gang";
  readonly key: string;
  /** Asks that belong to it. */
  readonly size: number;
  /** Of a gang: the ask that found no node beside the others; `rules` and `hints` are about it. */
  readonly blocking?: string;
}

/** One change after which the ask would fit. */
export type Hint =
  | {
      /** A single rule stands between the ask and `nodes` nodes. */
      readonly kind: "rule";
      readonly rule: RuleName;
      readonly about: string;
      readonly beyond?: string;
      /** How many nodes it would open. */
      readonly nodes: number;
      /** The nearest of them. */
      readonly node: string;
      readonly need?: number;
      /** How much is missing there. */
      readonly missing?: number;
      readonly unit?: Unit;
      readonly holder?: string;
      readonly holders?: number;
    }
  | {
      /** Another node like this one, empty, would take it. */
      readonly kind: "another-node";
      readonly node: string;
    };

/** More names than a reader takes in; the count tells the rest. */
export const NODES_NAMED_MAX = 10;

/** More ways out than this confuse more than they help. */
export const HINTS_MAX = 4;
