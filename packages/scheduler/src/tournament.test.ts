import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OUT, Tournament } from "./tournament.ts";

const PLACES = 11;
/** Few values, so that scores tie. */
const score = fc.constantFrom(OUT, -100, 0, 1, 2);
const writes = fc.array(fc.record({ place: fc.nat(PLACES - 1), score }), { maxLength: 60 });

/** The slow way: a look at every place. */
function bestOf(scores: readonly number[]): number | undefined {
  const greatest = Math.max(...scores);
  return greatest === OUT ? undefined : scores.indexOf(greatest);
}

test("the best is the first place of the greatest score, after any writes", () => {
  fc.assert(
    fc.property(writes, (list) => {
      const tournament = new Tournament(PLACES);
      const scores = Array.from({ length: PLACES }, () => OUT);
      for (const { place, score } of list) {
        tournament.set(place, score);
        scores[place] = score;
        assert.equal(tournament.best(), bestOf(scores));
        assert.equal(tournament.entrants, scores.filter((each) => each !== OUT).length);
      }
      assert.deepEqual(
        scores.map((_, place) => tournament.score(place)),
        scores,
      );
    }),
    { numRuns: 500, seed: 43 },
  );
});

test("a copy is apart from what it was copied from", () => {
  const original = new Tournament(3);
  original.set(1, 5);
  const copy = new Tournament(3);
  copy.copyFrom(original);
  copy.set(2, 7);
  assert.deepEqual([original.best(), original.entrants], [1, 1]);
  assert.deepEqual([copy.best(), copy.entrants], [2, 2]);
});

test("a tournament without places has no best one, and one place is enough", () => {
  assert.equal(new Tournament(0).best(), undefined);
  const single = new Tournament(1);
  single.set(0, -1);
  assert.equal(single.best(), 0);
});
