/** The prices are checked against what makes them optimal, not against figures of the solver itself. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pricesOf, worthByRemainder } from "./cutting-stock.ts";

const NEARLY = 1e-6;

test("halves and wholes: a half is worth half a device", () => {
  const [half, whole] = pricesOf([
    { size: 500, demand: 10 },
    { size: 1_000, demand: 3 },
  ]);
  assert.ok(Math.abs((half ?? 0) - 0.5) < NEARLY);
  assert.ok(Math.abs((whole ?? 0) - 1) < NEARLY);
});

test("a size that leaves nothing useful is worth the device", () => {
  // 600 alone: nobody asks for the 400 that are left.
  const prices = pricesOf([{ size: 600, demand: 5 }]);
  assert.ok(Math.abs((prices[0] ?? 0) - 1) < NEARLY);
});

test("what completes a frequent size is worth what is left of the device", () => {
  // More 600 than 400: every 400 goes beside a 600, and costs nothing.
  const prices = pricesOf([
    { size: 400, demand: 2 },
    { size: 600, demand: 9 },
  ]);
  assert.ok(Math.abs(prices[0] ?? 1) < NEARLY, `price ${prices[0]}`);
});

test("no way to cut a device is worth more than it, and each price is met by some way", () => {
  const mix = fc.uniqueArray(
    fc.record({
      size: fc.integer({ min: 50, max: 1_000 }),
      demand: fc.integer({ min: 1, max: 99 }),
    }),
    {
      minLength: 1,
      maxLength: 12,
      selector: ({ size }) => size,
    },
  );
  fc.assert(
    fc.property(mix, (sizes) => {
      const prices = pricesOf(sizes);
      const worth = worthByRemainder(sizes, prices);
      assert.ok((worth[1_000] ?? 0) <= 1 + NEARLY, `a device is worth ${worth[1_000]}`);
      for (const price of prices) assert.ok(price >= -NEARLY, `a price is ${price}`);
      // Weak duality: the demand at these prices is no more than devices that suffice (each piece its own).
      const value = sizes.reduce((sum, { demand }, at) => sum + demand * (prices[at] ?? 0), 0);
      const sum = sizes.reduce((all, { size, demand }) => all + (size * demand) / 1_000, 0);
      const alone = sizes.reduce(
        (all, { size, demand }) => all + demand / Math.floor(1_000 / size),
        0,
      );
      assert.ok(value >= sum - NEARLY && value <= alone + NEARLY, `${sum} <= ${value} <= ${alone}`);
      for (let room = 1; room <= 1_000; room++)
        assert.ok((worth[room] ?? 0) >= (worth[room - 1] ?? 0));
    }),
    { numRuns: 200 },
  );
});
