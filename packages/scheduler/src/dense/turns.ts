/**
 * Finds the best node of all: for strategies that look for room, and for asks in clusters with devices.
 *
 * For each room (`Shape.room`) a tournament keeps the points of every node; nodes that changed are valued anew when the
 * room is asked for again. Points that depend on neighbours are added while the best are taken out one by
 * one, until no other can overtake. Cost: O(changes since × points) and O(log nodes) for each one taken out.
 */

import { OUT, Tournament } from "../tournament.ts";
import { type DenseCluster, NONE } from "./cluster.ts";
import type { Points } from "./points.ts";
import type { NeighbourRules } from "./rules.ts";
import type { Shape } from "./shape.ts";

/** Memory of all tournaments together; the longest unused goes first. */
const BYTES_MAX = 256 * 1024 * 1024;
const BYTES_PER_NODE = 32;
/** Taken out once there is one that will do: neighbours rarely decide beyond them. */
const RIVALS = 64;

interface Turn {
  readonly tournament: Tournament;
  /** Changes that it knows of; -1 before the first look. */
  seen: number;
}

export class TurnSearch {
  readonly #cluster: DenseCluster;
  readonly #rules: NeighbourRules;
  readonly #points: Points;
  /** By room, the longest unused first. */
  readonly #turns = new Map<number, Turn>();
  readonly #turnsMax: number;
  visits = 0;

  constructor(cluster: DenseCluster, rules: NeighbourRules, points: Points) {
    this.#cluster = cluster;
    this.#rules = rules;
    this.#points = points;
    this.#turnsMax = Math.max(
      4,
      Math.floor(BYTES_MAX / (BYTES_PER_NODE * Math.max(1, cluster.size))),
    );
  }

  /** Points have another meaning now. */
  forget(): void {
    this.#turns.clear();
  }

  /** The node for one copy of the service, or `NONE`. */
  find(shape: Shape, service: number): number {
    const { tournament } = this.#caughtUp(shape);
    const concerned = this.#rules.concerns(shape, service);
    const most = this.#points.besideMost(shape);
    const out: { node: number; points: number }[] = [];
    let best = NONE;
    let bestPoints = Number.NEGATIVE_INFINITY;
    for (let rivals = 0; rivals < RIVALS; ) {
      const node = tournament.best();
      if (node === undefined) break;
      const points = tournament.score(node);
      if (best !== NONE && points + most <= bestPoints) break;
      this.visits++;
      tournament.set(node, OUT);
      out.push({ node, points });
      if (concerned && this.#rules.refusal(shape, service, node) !== undefined) continue;
      const all = points + this.#points.beside(shape, service, node);
      if (all > bestPoints) {
        best = node;
        bestPoints = all;
      }
      rivals++;
    }
    for (const { node, points } of out) tournament.set(node, points);
    return best;
  }

  #caughtUp(shape: Shape): Turn {
    const { changes, size } = this.#cluster;
    const turn = this.#turns.get(shape.room) ?? { tournament: new Tournament(size), seen: -1 };
    this.#turns.delete(shape.room);
    this.#turns.set(shape.room, turn);
    for (const oldest of this.#turns.keys()) {
      if (this.#turns.size <= this.#turnsMax) break;
      this.#turns.delete(oldest);
    }
    if (turn.seen < 0 || !changes.remembers(turn.seen) || changes.count - turn.seen > size) {
      for (let node = 0; node < size; node++) this.#value(turn, shape, node);
    } else {
      for (let at = turn.seen; at < changes.count; at++) {
        this.#value(turn, shape, changes.ring[at & changes.mask] ?? 0);
      }
    }
    turn.seen = changes.count;
    return turn;
  }

  #value({ tournament }: Turn, shape: Shape, node: number): void {
    this.visits++;
    tournament.set(node, this.#points.own(shape, node));
  }
}
