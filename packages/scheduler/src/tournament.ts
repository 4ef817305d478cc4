/**
 * The best of many scores while single ones change: a complete binary tree, each inner cell the greater of
 * its two children, the leaves in the order in which equal scores are taken.
 *
 * Invariants: `best` is the leftmost leaf of the greatest score; `entrants` counts the leaves that hold one.
 * Cost: O(log places) for `set` (it stops where a parent keeps its value) and `best`; 16 bytes a place.
 */

/** Score of a place that takes no part. */
export const OUT = Number.NEGATIVE_INFINITY;

export class Tournament {
  /** Leaves in the whole last level: a power of two. */
  readonly #width: number;
  /** The root at 1, the children of `cell` at `2 × cell` and `2 × cell + 1`. */
  readonly #cells: Float64Array;
  #entrants: number;

  /** All places out. */
  constructor(places: number) {
    this.#width = 2 ** Math.ceil(Math.log2(Math.max(1, places)));
    this.#cells = new Float64Array(2 * this.#width).fill(OUT);
    this.#entrants = 0;
  }

  /** Places that take part. */
  get entrants(): number {
    return this.#entrants;
  }

  /** Gives `place` a score, or `OUT`. */
  set(place: number, score: number): void {
    let cell = this.#width + place;
    const before = this.at(cell);
    if (before === score) return;
    if (before === OUT) this.#entrants++;
    if (score === OUT) this.#entrants--;
    this.#cells[cell] = score;
    while (cell > 1) {
      cell >>= 1;
      const greater = Math.max(this.at(2 * cell), this.at(2 * cell + 1));
      if (greater === this.at(cell)) return;
      this.#cells[cell] = greater;
    }
  }

  /** Score of `place`; `OUT` when it takes no part. */
  score(place: number): number {
    return this.at(this.#width + place);
  }

  /** The first place of the greatest score, or `undefined` when none takes part. */
  best(): number | undefined {
    const greatest = this.at(1);
    if (greatest === OUT) return undefined;
    let cell = 1;
    while (cell < this.#width) cell = 2 * cell + (this.at(2 * cell) === greatest ? 0 : 1);
    return cell - this.#width;
  }

  /** The greatest score below `cell`: 1 is the root, `2 × cell` and `2 × cell + 1` are the children of a cell. */
  at(cell: number): number {
    return this.#cells[cell] ?? OUT;
  }

  isLeaf(cell: number): boolean {
    return cell >= this.#width;
  }

  /** The first place below `cell`; of a leaf, its own. */
  firstLeaf(cell: number): number {
    const levels = Math.clz32(cell) - Math.clz32(this.#width);
    return (cell << levels) - this.#width;
  }
}
