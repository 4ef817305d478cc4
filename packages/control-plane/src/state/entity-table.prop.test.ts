/** An indexed table answers as a list that is searched from end to end. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Entity, EntityTable } from "./entity-table.ts";

interface Row {
  readonly colour: string | undefined;
  readonly size: number;
}

const step = fc.record({
  key: fc.constantFrom("a", "b", "c", "d", "e", "f"),
  row: fc.option(
    fc.record({
      colour: fc.constantFrom("red", "blue", undefined),
      size: fc.integer({ min: 0, max: 2 }),
    }),
  ),
});

test("an index holds exactly what a search would find, in order of key", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const table = new EntityTable<Row, "colour" | "size">({
        colour: (row) => row.colour,
        size: (row) => String(row.size),
      });
      const naive = new Map<string, Entity<Row>>();
      for (const [index, { key, row }] of steps.entries()) {
        const before = naive.get(key);
        if (row === null) {
          assert.equal(table.delete(key), before);
          naive.delete(key);
        } else {
          const entity = { key, revision: index, value: row };
          assert.equal(table.set(entity), before);
          naive.set(key, entity);
        }
        const all = [...naive.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
        assert.deepEqual(table.all(), all);
        for (const colour of ["red", "blue"]) {
          const expected = all.filter((entity) => entity.value.colour === colour);
          assert.deepEqual(table.by("colour", colour), expected);
        }
        const terms = new Set(all.map((entity) => String(entity.value.size)));
        assert.deepEqual(new Set(table.terms("size")), terms);
      }
    }),
    { seed: 7, numRuns: 300 },
  );
});
