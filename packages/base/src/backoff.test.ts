/** Delays grow to their cap; chance only shortens them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffMs } from "./backoff.ts";
import { Prng } from "./prng.ts";

test("doubles from the first delay to the cap, also after a very long outage", () => {
  const options = { initialMs: 100, maxMs: 1_000 };
  const delays = [1, 2, 3, 4, 5, 1_000_000].map((attempt) => backoffMs(attempt, options));
  assert.deepEqual(delays, [100, 200, 400, 800, 1_000, 1_000]);
  assert.equal(backoffMs(3, { ...options, factor: 1 }), 100);
});

test("jitter takes away at most its share, and spreads", () => {
  const seen = new Set<number>();
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 80 }), (seed, attempt) => {
      const options = { initialMs: 1_000, maxMs: 60_000, jitter: 0.5 };
      const whole = backoffMs(attempt, options);
      const delay = backoffMs(attempt, options, new Prng(seed));
      assert.ok(delay <= whole && delay >= Math.floor(whole * 0.5), `${delay} of ${whole}`);
      seen.add(delay);
    }),
    { seed: 8 },
  );
  assert.ok(seen.size > 50);
});
