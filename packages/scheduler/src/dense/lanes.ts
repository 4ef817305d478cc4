/**
 * Finds a node in the order of ranks: for strategies that fill one node after the other.
 *
 * For each room (`Shape.room`) a cursor remembers that no node before it has room, but for those of a list to which every
 * release before it adds its node. From the list and from the cursor on, the first nodes that will do are
 * compared by their points. Where a rule divides the nodes into domains (spread, nearness to a service in a
 * zone) there is a cursor for each domain, and the domains with the fewest copies are looked at first. A service that
 * asks again and again takes the seat: nodes that its copies have closed are passed over until something is
 * released. An ask that is wanted beside a service on one node looks at the nodes of that service only. Every node with room is reached in the end: what fits is never refused.
 * Cost: the nodes that filled up or came free since the room's last turn, and `CANDIDATES` that fit.
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

/** What is remembered for one room and level. */
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

/** Who asked last, and the first place of each lane that it may still take: less is closed to it until a release. */
interface Seat {
  cursors: Cursors | undefined;
  shape: number;
  service: number;
  releases: number;
  first: Int32Array;
  /** Among the favoured. */
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
  /** By room, then by level. */
  readonly #cursors: ((Cursors | undefined)[] | undefined)[] = [];
  readonly #seat: Seat = {
    cursors: undefined,
    shape: NONE,
    service: NONE,
    releases: NONE,
    first: new Int32Array(0),
    favouredFrom: 0,
  };
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
    this.#takeSeat(cursors, shape, service);
    this.#lookAtFavoured(cursors, shape, service, best);
    best.found = 0;
    this.#lookAtReturned(cursors, shape, service, best);
    if (cursors.level === NODE_LEVEL) {
      this.#lookAlong(cursors, 0, shape, service, best);
      return best.node;
    }
    this.#lookByCopies(cursors, shape, service, best);
    return best.node;
  }

  /** Looks at the lanes with the fewest copies of the service first, until one has a node. O(lanes) for each. */
  #lookByCopies(cursors: Cursors, shape: Shape, service: number, best: Best): void {
    const { level, first } = cursors;
    const counts = this.#cluster.domainCounts(service, level);
    let after = NONE;
    for (let looked = 0; looked < first.length; looked++) {
      const lane = nextLane(counts, first.length, after);
      after = lane;
      if (this.#rules.isClosed(shape, service, level, lane)) continue;
      this.#lookAlong(cursors, lane, shape, service, best);
      if (best.found > 0) return;
    }
  }

  #takeSeat(cursors: Cursors, shape: Shape, service: number): void {
    const seat = this.#seat;
    const { count } = this.#cluster.releases;
    const isTaken =
      seat.cursors === cursors &&
      seat.shape === shape.id &&
      seat.service === service &&
      seat.releases === count;
    if (isTaken) return;
    seat.cursors = cursors;
    seat.shape = shape.id;
    seat.service = service;
    seat.releases = count;
    seat.favouredFrom = cursors.favouredFrom;
    if (seat.first.length === cursors.first.length) seat.first.set(cursors.first);
    else seat.first = Int32Array.from(cursors.first);
  }

  #caughtUp(shape: Shape): Cursors {
    const { releases, levels } = this.#cluster;
    const level = levelOf(shape);
    const ofRoom = this.#cursors[shape.room] ?? [];
    this.#cursors[shape.room] = ofRoom;
    const known = ofRoom[level];
    if (known === undefined) {
      const begun = this.#begin(shape, level);
      ofRoom[level] = begun;
      return begun;
    }
    const { returned, first } = known;
    if (!releases.remembers(known.seen) || returned.length > this.#cluster.size) {
      first.fill(0);
      returned.length = 0;
      this.#seat.cursors = undefined;
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

  #begin(shape: Shape, level: number): Cursors {
    const { levels, releases } = this.#cluster;
    const lanes = level === NODE_LEVEL ? 1 : levels.at(level).lanes.length;
    const seen = releases.count;
    const first = new Int32Array(lanes);
    return { level, first, returned: [], seen, favoured: favouredOf(shape), favouredFrom: 0 };
  }

  #lookAlong(cursors: Cursors, lane: number, shape: Shape, service: number, best: Best): void {
    const nodes =
      cursors.level === NODE_LEVEL ? undefined : this.#cluster.levels.at(cursors.level).lanes[lane];
    const length = nodes?.length ?? this.#cluster.size;
    const concerned = this.#rules.concerns(shape, service);
    let first = cursors.first[lane] ?? 0;
    let own = Math.max(first, this.#seat.first[lane] ?? 0);
    let looksLeft = Number.POSITIVE_INFINITY;
    for (let place = own; place < length && best.found < CANDIDATES && looksLeft > 0; place++) {
      if (best.found > 0) looksLeft = Math.min(looksLeft, LOOKS_BEYOND) - 1;
      const node = nodes === undefined ? place : (nodes[place] ?? 0);
      const look = this.#consider(node, shape, service, concerned, best);
      if (look === "full" && place === first) first++;
      if (look !== "open" && place === own) own++;
    }
    cursors.first[lane] = first;
    this.#seat.first[lane] = own;
  }

  /** Those without room leave the list: a release brings them back. */
  #lookAtReturned({ returned }: Cursors, shape: Shape, service: number, best: Best): void {
    const concerned = this.#rules.concerns(shape, service);
    for (let at = returned.length - 1; at >= 0 && best.found < CANDIDATES; at--) {
      const node = returned[at] ?? 0;
      // Most are full again: that is found out before anything is remembered.
      if (this.#cluster.hasRoom(shape, node)) {
        if (this.#consider(node, shape, service, concerned, best) !== "full") continue;
      } else this.visits++;
      returned[at] = returned.at(-1) ?? 0;
      returned.pop();
    }
  }

  #lookAtFavoured(cursors: Cursors, shape: Shape, service: number, best: Best): void {
    const { favoured } = cursors;
    if (favoured === undefined) return;
    const concerned = this.#rules.concerns(shape, service);
    const seat = this.#seat;
    const from = Math.max(cursors.favouredFrom, seat.favouredFrom);
    // Bounded: it is a preference.
    const end = Math.min(favoured.length, from + CANDIDATES * CANDIDATES);
    for (let at = from; at < end && best.found < CANDIDATES; at++) {
      const look = this.#consider(favoured[at] ?? 0, shape, service, concerned, best);
      if (look === "full" && at === cursors.favouredFrom) cursors.favouredFrom++;
      if (look !== "open" && at === seat.favouredFrom) seat.favouredFrom++;
    }
  }

  #lookBeside(other: number, shape: Shape, service: number, best: Best): void {
    const cluster = this.#cluster;
    let task = cluster.firstOfService(other);
    for (; task !== NONE && best.found < CANDIDATES; task = cluster.nextOfService(task)) {
      this.#consider(cluster.nodeOf(task), shape, service, true, best);
    }
  }

  /** Without room it is `full`; `closed` to copies of the service; both last until something is released. */
  #consider(
    node: number,
    shape: Shape,
    service: number,
    concerned: boolean,
    best: Best,
  ): "full" | "closed" | "open" {
    this.visits++;
    const own = this.#points.ownAgain(shape, node);
    if (own === OUT) return "full";
    if (concerned) {
      const refusal = this.#rules.refusal(shape, service, node);
      if (refusal === "anti-affinity" || refusal === "max-per-node") return "closed";
      if (refusal !== undefined) return "open";
    }
    const points = own + this.#points.beside(shape, service, node);
    best.found++;
    if (points < best.points || (points === best.points && node >= best.node)) return "open";
    best.node = node;
    best.points = points;
    return "open";
  }
}

/** The level that divides the nodes for the shape: of a required spread, else of a nearness. */
function levelOf({ spreads, near }: Shape): number {
  for (const { level } of spreads) if (level !== NODE_LEVEL) return level;
  for (const { level } of near) if (level !== NODE_LEVEL) return level;
  return NODE_LEVEL;
}

/** The lane that follows `after` (`NONE`: the first) when those with fewer copies come first, then those of lower number. */
function nextLane(counts: Int32Array, lanes: number, after: number): number {
  const last = after === NONE ? Number.NEGATIVE_INFINITY : (counts[after] ?? 0);
  let best = NONE;
  let fewest = Number.POSITIVE_INFINITY;
  for (let lane = 0; lane < lanes; lane++) {
    const copies = counts[lane] ?? 0;
    if (copies < last || (copies === last && lane <= after) || copies >= fewest) continue;
    best = lane;
    fewest = copies;
  }
  return best;
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
