/**
 * On which node does an ask of one shape and priority do the least harm? A tree of bounds of the harm on each node, in
 * which only nodes that changed are looked at again; who must go is found out for the node that promises the least.
 *
 * Invariant: the answer is that of a look at every node (`preemption.prop.test.ts`). For asks that the node alone
 * answers; what looks beyond it is decided node by node (`displacing.ts`). Cost: O(nodes × tasks of a node) at
 * first, O(changes × (tasks of a node + log nodes)) after that.
 */

import type { ClusterState } from "../cluster-state.ts";
import type { Subject } from "../filter.ts";
import type { Held } from "../held.ts";
import { book, type NodeState } from "../node-state.ts";
import { firstFinding, prepareChecks } from "../pipeline.ts";
import { OUT, Tournament } from "../tournament.ts";
import { type Displacement, mildness, mildnessMost, victimsOn } from "./victims.ts";

/** A node, who must go, and on how many nodes somebody could. */
export interface Choice {
  readonly node: NodeState;
  readonly victims: readonly Held[];
  readonly count: number;
}

export class Mildest {
  readonly #cluster: ClusterState;
  readonly #wish: Displacement;
  readonly #tree: Tournament;
  /** Changes of nodes that are in the tree; `undefined` before the first look. */
  #seen: number | undefined;

  /** `subject` is of a shape: none of its rules looks beyond the node. */
  constructor(subject: Subject, priority: number) {
    const { cluster } = subject;
    const checks = prepareChecks(subject);
    this.#cluster = cluster;
    this.#tree = new Tournament(cluster.nodes.length);
    const books = (sign: 1 | -1) => (task: Held, node: NodeState) =>
      book(node, task, sign, cluster.columns);
    this.#wish = {
      priority,
      allowed: (service) => cluster.displaceable(service),
      accepts: (node) => firstFinding(checks, node) === undefined,
      takeOff: books(-1),
      putBack: books(1),
      isOfNodeAlone: true,
    };
  }

  best(): Choice | undefined {
    this.#catchUp();
    for (;;) {
      const place = this.#tree.best();
      if (place === undefined) return undefined;
      const node = this.#cluster.nodeAt(place);
      const victims = victimsOn(node, this.#wish);
      const score = victims === undefined ? OUT : mildness(victims);
      // What keeps its promise is the best: no other promises more, and no earlier one as much.
      if (victims !== undefined && score === this.#tree.score(place))
        return { node, victims, count: this.#tree.entrants };
      this.#tree.set(place, score);
    }
  }

  #catchUp(): void {
    const { changes, nodesByPlace } = this.#cluster;
    const look = (place: number) => {
      this.#tree.set(place, mildnessMost(this.#cluster.nodeAt(place), this.#wish) ?? OUT);
    };
    const told = this.#seen !== undefined && changes.visitSince(this.#seen, look);
    if (!told) for (const { place } of nodesByPlace) look(place);
    this.#seen = changes.count;
  }
}
