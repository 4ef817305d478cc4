/**
 * Chance as a port: everything random that a decision uses comes from a `Prng` with a seed, so that the
 * same seed gives the same run. Secrets never come from here but from `node:crypto`.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, passes BigCrush, a few
 * integer operations a call.
 */

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** Same `seed` (any integer), same sequence. */
  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    this.#counter = 1;
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** Uniform over 0 ... 2^32 - 1. */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) >>> 0;
    return result;
  }

  /** Uniform over [0, 1). */
  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform over `min` ... `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1));
  }

  /** True with probability `p` (0 to 1). */
  chance(p: number): boolean {
    return this.float() < p;
  }

  /** One of `items`, which is not empty. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new RangeError("pick from an empty list");
    return item;
  }

  /** A generator of its own, whose draws do not disturb this one's. */
  fork(): Prng {
    return new Prng(this.uint32() * 2 ** 20 + (this.uint32() >>> 12));
  }
}
