/**
 * A score says how much better one node is than another for an ask. Each lives in a file of `scores/`.
 *
 * Points are whole numbers: full-precision scores scatter tasks over nodes that are nearly alike, coarse
 * ones tie and leave the choice to the fixed rank, which consolidates. Most scores span 0 to 100;
 * `options.ts` weighs them against each other.
 */

import type { Subject } from "./filter.ts";
import type { NodeState } from "./node-state.ts";
import type { ScoreName } from "./options.ts";

/** Points of one node; larger is better. */
export type Points = (node: NodeState) => number;

export interface Score {
  readonly name: ScoreName;
  /**
   * The points for one ask, or `undefined` when every node gets 0. They hold for the cluster as it is when they are
   * called, not as it was when they were prepared.
   */
  readonly prepare: (subject: Subject) => Points | undefined;
  /**
   * The points that depend on more than the node or on more of the ask than its shape (`ask-shape.ts`), with
   * their upper limit by domain; `undefined` when there are none.
   */
  readonly reach?: (subject: Subject) => PointsReach | undefined;
}

/** Points as a search by domain sees them. */
export interface PointsReach {
  readonly points: Points;
  /** The levels other than `node` on which they depend. */
  readonly levels: readonly string[];
  /** Not less than the points of any node in the node's domain of `level`, `favoured` ones excepted. */
  readonly most: (node: NodeState, level: string | undefined) => number;
  /** Nodes that may get more than that. */
  readonly favoured?: () => Iterable<NodeState>;
}
