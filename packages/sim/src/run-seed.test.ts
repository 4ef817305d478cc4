import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeed } from "./run-seed.ts";

test("the same seed gives the same trace to the last byte", async () => {
  const first = await runSeed(7);
  const second = await runSeed(7);
  assert.equal(first.trace.join("\n"), second.trace.join("\n"));
  assert.equal(first.digest, second.digest);
  assert.deepEqual(first.statistics, second.statistics);
});

test("another seed gives another run", async () => {
  const [first, second] = [await runSeed(7), await runSeed(8)];
  assert.notEqual(first.digest, second.digest);
});

test("a run has faults, work and at least a virtual minute", async () => {
  const { statistics } = await runSeed(9);
  assert.ok(statistics.virtualMs >= 60_000);
  assert.ok(statistics.tasks >= 5, `${statistics.tasks} tasks`);
  assert.ok(Object.values(statistics.faults).reduce((sum, count) => sum + count, 0) >= 5);
});
