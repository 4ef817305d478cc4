/** Typed arrays that grow: twice as long when full, so that writing costs O(1) on average. */

export class GrowingInts {
  #values: Int32Array<ArrayBuffer>;
  readonly #fill: number;

  /** What was never written reads as `fill`. */
  constructor(fill: number, length = 1_024) {
    this.#values = new Int32Array(length).fill(fill);
    this.#fill = fill;
  }

  at(index: number): number {
    return this.#values[index] ?? this.#fill;
  }

  set(index: number, value: number): void {
    if (index >= this.#values.length) this.#grow(index);
    this.#values[index] = value;
  }

  #grow(index: number): void {
    const longer = new Int32Array(Math.max(index + 1, 2 * this.#values.length)).fill(this.#fill);
    longer.set(this.#values);
    this.#values = longer;
  }
}
