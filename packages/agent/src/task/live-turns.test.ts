import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveTurns } from "./live-turns.ts";

test("copies of a service take turns, other services do not wait for them", () => {
  const turns = new LiveTurns();
  assert.ok(turns.take("shop/web", "t1", 0));
  assert.ok(turns.take("shop/web", "t1", 1_000), "it keeps its turn");
  assert.ok(!turns.take("shop/web", "t2", 1_000));
  assert.ok(turns.take("shop/api", "t3", 1_000));
  turns.end("shop/web", "t2");
  assert.ok(!turns.take("shop/web", "t2", 2_000), "only its holder ends a turn");
  turns.end("shop/web", "t1");
  assert.ok(turns.take("shop/web", "t2", 2_000));
});

test("a copy that does not come back holds nobody up for ever", () => {
  const turns = new LiveTurns();
  assert.ok(turns.take("shop/web", "t1", 0));
  assert.ok(!turns.take("shop/web", "t2", 59_999));
  assert.ok(turns.take("shop/web", "t2", 60_000));
});
