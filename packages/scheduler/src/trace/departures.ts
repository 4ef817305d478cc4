/** Tasks that will leave, the next one first: a binary heap by time, then by the order of adding. */

export interface Departure {
  readonly atMs: number;
  readonly id: string;
}

interface Entry extends Departure {
  readonly order: number;
}

export class Departures {
  readonly #heap: Entry[] = [];
  #added = 0;

  /** O(log size). */
  add(atMs: number, id: string): void {
    const heap = this.#heap;
    const entry = { atMs, id, order: this.#added++ };
    let at = heap.length;
    for (let up = (at - 1) >> 1; at > 0; up = (at - 1) >> 1) {
      const parent = heap[up];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }

  next(): Departure | undefined {
    return this.#heap[0];
  }

  /** Takes the next one out. O(log size). */
  remove(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      const left = heap[down];
      if (left === undefined) break;
      const right = heap[down + 1];
      if (right !== undefined && isBefore(right, left)) down++;
      const child = heap[down];
      if (child === undefined || !isBefore(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs - b.atMs < 0 || (a.atMs === b.atMs && a.order < b.order);
}
