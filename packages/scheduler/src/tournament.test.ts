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

test("a cell holds the greatest of the places below it", () => {
  const tournament = new Tournament(PLACES);
  for (let place = 0; place < PLACES; place++) tournament.set(place, place % 4);
  for (let cell = 1; cell < 32; cell++) {
    const leaves: number[] = [];
    const visit = (at: number): void => {
      if (tournament.isLeaf(at)) leaves.push(tournament.firstLeaf(at));
      else for (const child of [2 * at, 2 * at + 1]) visit(child);
    };
    visit(cell);
    assert.equal(tournament.firstLeaf(cell), leaves[0]);
    assert.equal(tournament.at(cell), Math.max(...leaves.map((place) => tournament.score(place))));
  }
});

test("a tournament without places has no best one, and one place is enough", () => {
  assert.equal(new Tournament(0).best(), undefined);
  const single = new Tournament(1);
  single.set(0, -1);
  assert.equal(single.best(), 0);
});
