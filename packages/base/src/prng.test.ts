/** Chance with a seed: the same again, in its bounds, even enough. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Prng } from "./prng.ts";

function draws(prng: Prng, count: number): number[] {
  return Array.from({ length: count }, () => prng.uint32());
}

test("the same seed gives the same sequence, whatever machine and release", () => {
  assert.deepEqual(draws(new Prng(42), 100), draws(new Prng(42), 100));
  // Kept values: a change of the generator would silently change every stored seed's meaning.
  assert.deepEqual(draws(new Prng(1), 3), [573063952, 3268221502, 703077755]);
});

test("seeds that differ in any part differ at once", () => {
  const seeds = [0, 1, 2, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 45];
  const first = seeds.map((seed) => draws(new Prng(seed), 4).join());
  assert.equal(new Set(first).size, seeds.length);
});

test("draws keep to their bounds", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.nat({ max: 1_000 }), (seed, min, span) => {
      const prng = new Prng(seed);
      for (let count = 0; count < 20; count++) {
        const value = prng.int(min, min + span);
        assert.ok(Number.isInteger(value) && value >= min && value <= min + span);
        const float = prng.float();
        assert.ok(float >= 0 && float < 1);
      }
    }),
    { seed: 9 },
  );
});

test("values are spread evenly: chi-square of 64 classes", () => {
  const prng = new Prng(7);
  const counts = new Array<number>(64).fill(0);
  const total = 64_000;
  for (let count = 0; count < total; count++) {
    const index = prng.int(0, 63);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  const expected = total / 64;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 63 degrees of freedom: 30 to 110 holds in all but one of about ten thousand generators.
  assert.ok(chi > 30 && chi < 110, `${chi}`);
});

test("a fork goes its own way and does not disturb its parent", () => {
  const parent = new Prng(3);
  const child = parent.fork();
  const after = draws(parent, 10);
  const again = new Prng(3);
  draws(again.fork(), 1_000);
  assert.deepEqual(draws(again, 10), after);
  assert.notDeepEqual(draws(child, 10), after);
});

test("a choice is one of its items, of none an error", () => {
  const prng = new Prng(1);
  const seen = new Set(Array.from({ length: 200 }, () => prng.pick(["a", "b", "c"])));
  assert.deepEqual([...seen].sort(), ["a", "b", "c"]);
  assert.throws(() => prng.pick([]), RangeError);
  assert.equal(prng.chance(0), false);
  assert.equal(prng.chance(1), true);
});
