/** What is due when: a binary heap. O(log n) to add and take; ties leave in the order of their coming. */

interface Item<T> {
  readonly due: number;
  readonly order: number;
  readonly value: T;
}

export class DueQueue<T> {
  readonly #heap: Item<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the first item is due. */
  nextDue(): number | undefined {
    return this.#heap[0]?.due;
  }

  add(due: number, value: T): void {
    const heap = this.#heap;
    const item = { due, order: this.#order++, value };
    let index = heap.length;
    heap.push(item);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, item)) break;
      heap[index] = above;
      heap[parent] = item;
      index = parent;
    }
  }

  /** The first item if it is due at `now`. */
  take(now: number): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.due > now) return undefined;
    const last = heap.pop();
    if (last !== undefined && last !== first) this.#sink(last);
    return first.value;
  }

  #sink(item: Item<T>): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      const left = heap[2 * index + 1];
      const right = heap[2 * index + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (isBefore(item, child)) break;
      heap[index] = child;
      index = 2 * index + (isRight ? 2 : 1);
    }
    heap[index] = item;
  }
}

function isBefore<T>(a: Item<T>, b: Item<T>): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}
