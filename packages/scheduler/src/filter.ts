/**
 * A filter is one rule that a node must meet. Each lives in a file of `filters/`, with the words for its
 * refusals beside the test, so that whoever changes the one sees the other.
 *
 * `prepare` looks up once per ask what does not depend on the node; the check that it returns is called
 * for every node and changes nothing.
 */

import { type ClusterState, compareText } from "./cluster-state.ts";
import type { Ask } from "./model.ts";
import type { NodeState } from "./node-state.ts";
import type { RuleCount, RuleName, Unit } from "./plan.ts";
import type { Needs } from "./resources.ts";

/** An ask in the state of the cluster in which a node is wanted for it. */
export interface Subject {
  readonly ask: Ask;
  readonly needs: Needs;
  readonly cluster: ClusterState;
  /** Services of the other members of its pod: they will be wherever it is. */
  readonly companions: ReadonlySet<string>;
}

/** Why a node is refused. */
export interface Finding {
  readonly about: string;
  /** Of a resource of which more may be promised than there is: which of the two bounds it is, in words. */
  readonly beyond?: string;
  readonly need?: number;
  /** Never below 0, for the reader. */
  readonly available?: number;
  /** How much more would do: may exceed `need` where more was given away than there is. */
  readonly missing?: number;
  readonly unit?: Unit;
  /** A task that is in the way: the first by id. */
  readonly holder?: string;
  /** How many are in the way; only when more than one. */
  readonly holders?: number;
}

/** A rule as a search by domain sees it. */
export interface Reach {
  /** All nodes of one domain of this level get the same answer; at level `node` each has its own. */
  readonly level: string;
  readonly admits: (node: NodeState) => boolean;
  /** Every node that may be refused; only read at level `node`. */
  readonly refusable?: () => Iterable<NodeState>;
}

/** A node of each domain (of the level of the reach) in which the standing rules hold for some node. */
export type UsableNodes = () => Iterable<NodeState>;

/** `undefined` when the node will do. */
export type Check = (node: NodeState) => Finding | undefined;

export interface Filter {
  readonly rule: RuleName;
  /**
   * The checks for one ask: one for each thing that can be wrong on its own (each constraint, each
   * resource, each port), none when the rule has nothing to say about it.
   */
  readonly prepare: (subject: Subject) => readonly Check[];
  /** True when a check may answer otherwise although its node has not changed. Absent: the node alone decides. */
  readonly looksBeyond?: (subject: Subject) => boolean;
  /**
   * What such checks say of a node, in a form that a search by domain can use (`turns.ts`); `undefined` where there is
   * none: then every node is looked at. Together the reaches accept a node if and only if the checks do. Asked only when
   * `looksBeyond` holds and `only` names no nodes.
   */
  readonly reaches?: (subject: Subject, usable: UsableNodes) => readonly Reach[] | undefined;
  /** Ids of the only nodes that the checks may accept, where that is known without a look at them. */
  readonly only?: (subject: Subject) => readonly string[] | undefined;
  /** The refusal in words, without the count: "lack memory (need 2 GiB, most free is 1.4 GiB)". */
  readonly describe: (refused: RuleCount) => string;
  /** What would have to change, after "would fit if": "node-8 had 0.6 GiB more memory". */
  readonly remedy: (obstacle: Obstacle) => string;
}

/** The only thing that stands between an ask and some nodes. */
export interface Obstacle {
  readonly about: string;
  readonly beyond?: string;
  readonly nodes: number;
  readonly node: string;
  readonly need?: number;
  readonly missing?: number;
  readonly unit?: Unit;
  readonly holder?: string;
  readonly holders?: number;
}

/** Who is in the way, for a finding: the first of `ids` by name, and how many where there are several. */
export function holdersOf(ids: readonly string[]): Pick<Finding, "holder" | "holders"> {
  const [holder] = [...ids].sort(compareText);
  if (holder === undefined) return {};
  return ids.length === 1 ? { holder } : { holder, holders: ids.length };
}

/** `web.1`, `web.1 and 2 more`. */
export function whoHolds(holder: string, holders = 1): string {
  return holders === 1 ? holder : `${holder} and ${holders - 1} more`;
}

/** `lacks` for one node, `lack` for several. */
export function verb(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}
