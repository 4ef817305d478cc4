/**
 * Runs of seeds as tests: those that once found something, by name, and ranges of fresh ones.
 *
 * A failing seed says what to call to see its trace. What it found is fixed, then the seed is kept in
 * `seeds/seeds.json`.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeed } from "./run-seed.ts";

/** One test a seed: none of the checkers speaks. */
export function testSeed(seed: number, name = `seed ${seed}`): void {
  test(name, async () => {
    const { violations } = await runSeed(seed);
    const sentences = violations.map(
      ({ checker, sentence, atMs }) => `${(atMs / 1_000).toFixed(3)} s ${checker}: ${sentence}`,
    );
    assert.deepEqual(sentences, [], `npm run sim -- ${seed}`);
  });
}

/** Seeds from `first` to `last`, both included. */
export function testSeeds(first: number, last: number): void {
  for (let seed = first; seed <= last; seed++) testSeed(seed);
}
