/**
 * What each node is worth to asks of one shape, kept up to date by looking again at nodes that changed.
 *
 * The nodes stand in regions, the domains of one level, each with a tree of its own, so that a search can leave
 * out or favour whole domains. A *seat* can be given to one class: then the copies of its service are counted in
 * the trees, and its next copies find their node on top. Invariant: after `catchUp` a leaf holds the shape's score of its
 * node, or `OUT` where the node alone refuses; with a seat the score less the copies. Cost: O(nodes × rules) at
 * first, O(changes × (rules + log nodes)) to catch up, O(copies × log nodes) to change seats; about 56 bytes a node.
 */

import { present } from "@berth/base";
import type { ClusterState } from "./cluster-state.ts";
import type { Check, Filter, Subject } from "./filter.ts";
import type { NodeState } from "./node-state.ts";
import type { ScheduleOptions } from "./options.ts";
import { FILTERS, type ShapeScores, shapeScoresOf } from "./pipeline.ts";
import { RULES } from "./plan.ts";
import { LASTING_FILTERS, STANDING_FILTERS } from "./standing-filters.ts";
import { OUT, Tournament } from "./tournament.ts";

/** Of no node: no sum of points gets there. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/** The nodes of one domain, in the order of their places. */
export interface Region {
  readonly nodes: readonly NodeState[];
  readonly tree: Tournament;
  /** Nodes for which the standing rules hold. */
  usable: number;
}

/** Who has the seat: a service, and what its copies on a node do to the node's worth (`OUT`: no more of them). */
export interface Seat {
  readonly service: string;
  readonly copies: (node: NodeState) => number;
  readonly worth: (score: number, copies: number) => number;
}

export class NodeWorths {
  readonly regions: readonly Region[];
  readonly #cluster: ClusterState;
  readonly #lasting: readonly Check[];
  readonly #changing: readonly Check[];
  readonly #scores: ShapeScores;
  /** By place, as all the others: points that last, `UNKNOWN` before the first look, `OUT` where the node never will do. */
  readonly #lastingPoints: Float64Array;
  readonly #worths: Float64Array;
  readonly #usable: Uint8Array;
  readonly #regionOf: Uint32Array;
  readonly #leafOf: Uint32Array;
  #seat: Seat | undefined;
  /** Changes of nodes that are in the scores; `undefined` before the first look. */
  #seen: number | undefined;

  /** `subject` is of a shape: none of its rules and scores looks beyond the node. One region without a level. */
  constructor(subject: Subject, level: string | undefined, options: ScheduleOptions) {
    const { cluster } = subject;
    this.#cluster = cluster;
    const prepare = (filters: readonly Filter[]) =>
      filters.flatMap((filter) => filter.prepare(subject));
    this.#lasting = prepare(LASTING_FILTERS);
    const all = RULES.map((rule) => FILTERS[rule]);
    this.#changing = prepare(all.filter((filter) => !STANDING_FILTERS.includes(filter)));
    this.#scores = shapeScoresOf(subject, options);
    const count = cluster.nodes.length;
    this.#lastingPoints = new Float64Array(count).fill(UNKNOWN);
    this.#worths = new Float64Array(count).fill(OUT);
    this.#usable = new Uint8Array(count);
    this.#regionOf = new Uint32Array(count);
    this.#leafOf = new Uint32Array(count);
    const groups = level === undefined ? [cluster.nodesByPlace] : cluster.regions(level);
    this.regions = groups.map((nodes, region) => {
      nodes.forEach(({ place }, leaf) => {
        this.#regionOf[place] = region;
        this.#leafOf[place] = leaf;
      });
      return { nodes, tree: new Tournament(nodes.length), usable: 0 };
    });
  }

  get seat(): Seat | undefined {
    return this.#seat;
  }

  /** Looks at the nodes that changed since the last time, at all of them the first time. Returns how many. */
  catchUp(): number {
    const { changes, nodes } = this.#cluster;
    if (this.#seen === changes.count) return 0;
    let looks = 0;
    const look = (place: number) => {
      looks++;
      this.#look(this.#cluster.nodeAt(place));
    };
    const told = this.#seen !== undefined && changes.visitSince(this.#seen, look);
    if (!told) for (const { place } of nodes) look(place);
    this.#seen = changes.count;
    return looks;
  }

  /** The region in which the node lies. */
  regionOf({ place }: NodeState): Region {
    return present(this.regions[this.#regionOf[place] ?? 0], "region");
  }

  /** The shape's score of the node, copies of whatever service left aside; `OUT` where the node alone refuses. */
  score({ place }: NodeState): number {
    return this.#worths[place] ?? OUT;
  }

  /** Gives the seat to another, or to nobody. */
  giveSeat(seat: Seat | undefined): void {
    const before = this.#seat;
    if (before === seat) return;
    this.#seat = undefined;
    if (before !== undefined) this.#settle(before.service);
    this.#seat = seat;
    if (seat !== undefined) this.#settle(seat.service);
  }

  #settle(service: string): void {
    for (const node of this.#cluster.nodesOfService(service)) this.#write(node);
  }

  #look(node: NodeState): void {
    const { place } = node;
    const lasting = this.#lastingOf(node);
    const usable = lasting !== OUT && node.ready && !node.draining;
    if (usable !== (this.#usable[place] === 1)) {
      this.#usable[place] = usable ? 1 : 0;
      this.regionOf(node).usable += usable ? 1 : -1;
    }
    const fits = usable && admits(this.#changing, node);
    this.#worths[place] = fits ? lasting + this.#scores.fit(node) : OUT;
    this.#write(node);
  }

  #lastingOf(node: NodeState): number {
    const known = this.#lastingPoints[node.place] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    const points = admits(this.#lasting, node) ? this.#scores.lasting(node) : OUT;
    this.#lastingPoints[node.place] = points;
    return points;
  }

  #write(node: NodeState): void {
    const seat = this.#seat;
    const score = this.score(node);
    const copies = seat === undefined ? 0 : seat.copies(node);
    const worth = seat === undefined || score === OUT ? score : seat.worth(score, copies);
    this.regionOf(node).tree.set(this.#leafOf[node.place] ?? 0, worth);
  }
}

function admits(checks: readonly Check[], node: NodeState): boolean {
  for (const check of checks) if (check(node) !== undefined) return false;
  return true;
}
