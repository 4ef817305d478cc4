/**
 * Finds a node in the order of ranks: for strategies that fill one node after the other.
 *
 * For each shape a cursor remembers that no node before it has room, but for those of a list to which every
 * release before it adds its node. From the list and from the cursor on, the first nodes that will do are
 * compared by their points. Where a rule divides the nodes into domains (spread, nearness to a service in a
 * zone) there is a cursor for each domain, and the domains with the fewest copies are looked at first. An ask that is wanted beside a service on one node looks at the
 * nodes of that service only. Every node with room is reached in the end: what fits is never refused.
 * Cost: the nodes that filled up or came free since the shape's last turn, and `CANDIDATES` that fit.
 */

import { OUT } from "../tournament.ts";
import { type DenseCluster, NONE } from "./cluster.ts";
import { NODE_LEVEL } from "./levels.ts";
import type { Points } from "./points.ts";
import type { NeighbourRules } from "./rules.ts";
import type { Shape } from "./shape.ts";

/** Nodes that fit and are compared. More pack no better in trials and cost in proportion. */
const CANDIDATES = 12;
/** Nodes looked at after the first that fits: in a full cluster the next one may be far. */
const LOOKS_BEYOND = 48;

/** What is remembered for one shape. */
interface Cursors {
  /** Level that divides the nodes; `NODE_LEVEL` for one lane of all nodes. */
  readonly level: number;
  /** By lane, the first place that may have room, besides the nodes in `returned`. */
  readonly first: Int32Array;
  /** Nodes before the cursors on which room came free, some perhaps twice. */
  readonly returned: number[];
  /** Releases that it knows of. */
  seen: number;
  /** Nodes that get the most standing points, where not all do, as a lane of their own. */
  readonly favoured: Int32Array | undefined;
  /** The first of the favoured that may have room, until something is released. */
  favouredFrom: number;
}

interface Best {
  node: number;
  points: number;
  found: number;
}

export class LaneSearch {
  readonly #cluster: DenseCluster;
  readonly #rules: NeighbourRules;
  readonly #points: Points;
  readonly #cursors: (Cursors | undefined)[] = [];
  /** Nodes looked at since the beginning. */
  visits = 0;

  constructor(cluster: DenseCluster, rules: NeighbourRules, points: Points) {
    this.#cluster = cluster;
    this.#rules = rules;
    this.#points = points;
  }

  /** The node for one copy of the service, or `NONE`. */
  find(shape: Shape, service: number): number {
    const beside = shape.near.find(({ level }) => level === NODE_LEVEL);
    const best: Best = { node: NONE, points: Number.NEGATIVE_INFINITY, found: 0 };
    if (beside !== undefined && this.#cluster.firstOfService(beside.service) !== NONE) {
      this.#lookBeside(beside.service, shape, service, best);
      return best.node;
    }
    const cursors = this.#caughtUp(shape);
    this.#lookAtFavoured(cursors, shape, service, best);
    best.found = 0;
    this.#lookAtReturned(cursors, shape, service, best);
    if (cursors.level === NODE_LEVEL) {
      this.#lookAlong(cursors, 0, shape, service, best);
      return best.node;
    }
    for (const lane of this.#lanesByCopies(cursors, service)) {
      this.#lookAlong(cursors, lane, shape, service, best);
      if (best.found > 0) break;
    }
    return best.node;
  }

  #caughtUp(shape: Shape): Cursors {
    const { releases, levels } = this.#cluster;
    const known = this.#cursors[shape.id];
    if (known === undefined) {
      const begun = this.#begin(shape);
      this.#cursors[shape.id] = begun;
      return begun;
    }
    const { returned, first } = known;
    if (!releases.remembers(known.seen) || returned.length > this.#cluster.size) {
      first.fill(0);
      returned.length = 0;
    } else {
      const { laneOf, placeOf } = levels.at(known.level);
      const isDivided = known.level !== NODE_LEVEL;
      for (let at = known.seen; at < releases.count; at++) {
        const node = releases.ring[at & releases.mask] ?? 0;
        const lane = isDivided ? (laneOf[node] ?? 0) : 0;
        const place = isDivided ? (placeOf[node] ?? 0) : node;
        if (place < (first[lane] ?? 0)) returned.push(node);
      }
    }
    if (known.seen !== releases.count) known.favouredFrom = 0;
    known.seen = releases.count;
    return known;
  }

  #begin(shape: Shape): Cursors {
    const { levels, releases } = this.#cluster;
    const dividing = [...shape.spreads, ...shape.near].find(({ level }) => level !== NODE_LEVEL);
    const level = dividing?.level ?? NODE_LEVEL;
    const lanes = level === NODE_LEVEL ? 1 : levels.at(level).lanes.length;
    const seen = releases.count;
    const first = new Int32Array(lanes);
    return { level, first, returned: [], seen, favoured: favouredOf(shape), favouredFrom: 0 };
  }

  #lanesByCopies({ level, first }: Cursors, service: number): readonly number[] {
    const counts = this.#cluster.domainCounts(service, level);
    const lanes = Array.from(first, (_, lane) => lane);
    return lanes.sort((a, b) => (counts[a] ?? 0) - (counts[b] ?? 0) || a - b);
  }

  #lookAlong(cursors: Cursors, lane: number, shape: Shape, service: number, best: Best): void {
    const nodes =
      cursors.level === NODE_LEVEL ? undefined : this.#cluster.levels.at(cursors.level).lanes[lane];
    const length = nodes?.length ?? this.#cluster.size;
    const concerned = this.#rules.concerns(shape, service);
    let first = cursors.first[lane] ?? 0;
    let looksLeft = Number.POSITIVE_INFINITY;
    for (let place = first; place < length && best.found < CANDIDATES && looksLeft > 0; place++) {
      if (best.found > 0) looksLeft = Math.min(looksLeft, LOOKS_BEYOND) - 1;
      const node = nodes === undefined ? place : (nodes[place] ?? 0);
      this.visits++;
      if (this.#cluster.hasRoom(shape, node)) this.#consider(node, shape, service, concerned, best);
      else if (place === first) first++;
    }
    cursors.first[lane] = first;
  }

  /** Those without room leave the list: a release brings them back. */
  #lookAtReturned({ returned }: Cursors, shape: Shape, service: number, best: Best): void {
    const concerned = this.#rules.concerns(shape, service);
    for (let at = returned.length - 1; at >= 0 && best.found < CANDIDATES; at--) {
      const node = returned[at] ?? 0;
      this.visits++;
      if (this.#cluster.hasRoom(shape, node)) {
        this.#consider(node, shape, service, concerned, best);
        continue;
      }
      returned[at] = returned.at(-1) ?? 0;
      returned.pop();
    }
  }

  #lookAtFavoured(cursors: Cursors, shape: Shape, service: number, best: Best): void {
    const { favoured } = cursors;
    if (favoured === undefined) return;
    const concerned = this.#rules.concerns(shape, service);
    // Bounded: it is a preference.
    const end = Math.min(favoured.length, cursors.favouredFrom + CANDIDATES * CANDIDATES);
    for (let at = cursors.favouredFrom; at < end && best.found < CANDIDATES; at++) {
      const node = favoured[at] ?? 0;
      this.visits++;
      if (this.#cluster.hasRoom(shape, node)) this.#consider(node, shape, service, concerned, best);
      else if (at === cursors.favouredFrom) cursors.favouredFrom++;
    }
  }

  #lookBeside(other: number, shape: Shape, service: number, best: Best): void {
    const cluster = this.#cluster;
    let task = cluster.firstOfService(other);
    for (; task !== NONE && best.found < CANDIDATES; task = cluster.nextOfService(task)) {
      const node = cluster.nodeOf(task);
      this.visits++;
      if (cluster.hasRoom(shape, node)) this.#consider(node, shape, service, true, best);
    }
  }

  #consider(node: number, shape: Shape, service: number, concerned: boolean, best: Best): void {
    if (concerned && this.#rules.refusal(shape, service, node) !== undefined) return;
    const points = this.#points.own(shape, node) + this.#points.beside(shape, service, node);
    if (points === OUT) return;
    best.found++;
    if (points < best.points || (points === best.points && node >= best.node)) return;
    best.node = node;
    best.points = points;
  }
}

function favouredOf({ points, standing }: Shape): Int32Array | undefined {
  if (points === undefined) return undefined;
  let most = Number.NEGATIVE_INFINITY;
  points.forEach((each, node) => {
    if (standing[node] === 0 && each > most) most = each;
  });
  const favoured = [...points.keys()].filter(
    (node) => standing[node] === 0 && points[node] === most,
  );
  return favoured.length === points.length ? undefined : Int32Array.from(favoured);
}
