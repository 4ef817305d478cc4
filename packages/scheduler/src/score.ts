/**
 * A score says how much better one node is than another for an ask. Each lives in a file of `scores/`.
 *
 * Points are whole numbers: full-precision scores scatter tasks over nodes that are nearly alike, coarse
 * ones tie and leave the choice to the fixed rank, which consolidates. Most scores span 0 to 100;
 * `options.ts` weighs them against each other.
 */

import type { NodeState } from "./cluster-state.ts";
import type { Subject } from "./filter.ts";
import type { ScoreName } from "./options.ts";

/** Points of one node; larger is better. */
export type Points = (node: NodeState) => number;

export interface Score {
  readonly name: ScoreName;
  /** The points for one ask, or `undefined` when every node gets 0. */
  readonly prepare: (subject: Subject) => Points | undefined;
  /** As for a filter: true when the points of a node that has not changed may change. */
  readonly looksBeyond?: (subject: Subject) => boolean;
}
