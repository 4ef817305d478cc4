/**
 * Which nodes changed since one looked last? A ring of places, written by the cluster state at each booking,
 * and read by whoever remembers something about nodes.
 *
 * Invariant: a reader that asks with the `count` of its last look learns every node that changed since, or
 * that it must look at all of them. Memory is fixed: a reader so far behind that it would look at more
 * nodes than there are is better off to begin anew. Cost: O(1) to note, O(changes) to read.
 */

import { assert } from "@berth/base";

/** Fewest entries of the ring: in a cluster of a few nodes one trial of a gang writes more than that. */
const ENTRIES_MIN = 64;

export class NodeChanges {
  readonly #ring: Uint32Array;
  #count = 0;

  /** For a cluster of `nodes` nodes. */
  constructor(nodes: number) {
    this.#ring = new Uint32Array(Math.max(ENTRIES_MIN, nodes));
  }

  /** Changes noted so far; what a reader keeps for its next look. */
  get count(): number {
    return this.#count;
  }

  /** Notes that the node at `place` changed. */
  note(place: number): void {
    this.#ring[this.#count++ % this.#ring.length] = place;
  }

  /** Calls `visit` for each change since `count`; false, without a call, when too many were made. */
  visitSince(count: number, visit: (place: number) => void): boolean {
    assert(count <= this.#count, "the reader is ahead of the changes");
    if (this.#count - count > this.#ring.length) return false;
    for (let at = count; at < this.#count; at++) visit(this.#ring[at % this.#ring.length] ?? 0);
    return true;
  }
}
