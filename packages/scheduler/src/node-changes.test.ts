import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeChanges } from "./node-changes.ts";

function since(changes: NodeChanges, count: number): readonly number[] | "all" {
  const places: number[] = [];
  return changes.visitSince(count, (place) => places.push(place)) ? places : "all";
}

test("a reader learns what changed since it looked last", () => {
  const changes = new NodeChanges(10);
  changes.note(3);
  const seen = changes.count;
  changes.note(5);
  changes.note(5);
  changes.note(9);
  assert.deepEqual(since(changes, seen), [5, 5, 9]);
  assert.deepEqual(since(changes, changes.count), []);
});

test("a reader too far behind is told to look at all nodes, and one just within learns each", () => {
  const changes = new NodeChanges(100);
  const seen = changes.count;
  for (let place = 0; place < 100; place++) changes.note(place);
  assert.deepEqual(
    since(changes, seen),
    Array.from({ length: 100 }, (_, place) => place),
  );
  changes.note(7);
  assert.equal(since(changes, seen), "all");
  assert.deepEqual(since(changes, seen + 100), [7]);
});
