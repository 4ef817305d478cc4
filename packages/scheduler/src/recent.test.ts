import assert from "node:assert/strict";
import { test } from "node:test";
import { Recent } from "./recent.ts";

test("what is asked for stays, what is not is forgotten", () => {
  const recent = new Recent<string>(4);
  const made: string[] = [];
  const ask = (key: string) =>
    recent.of(key, () => {
      made.push(key);
      return key.toUpperCase();
    });
  for (const key of ["a", "b", "c", "d", "a", "e", "a", "d"])
    assert.equal(ask(key), key.toUpperCase());
  // With the fifth key the two that were longest without a question went: b and c.
  assert.deepEqual(made, ["a", "b", "c", "d", "e"]);
  ask("b");
  assert.deepEqual(made.slice(5), ["b"]);
});
