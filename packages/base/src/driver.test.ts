/** The one loop driver: one run at a time, wake-ups, back-off, cancellation, status. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "./clock.ts";
import { Driver, type LoopResult } from "./driver.ts";
import { silentLogger } from "./log.ts";
import { Prng } from "./prng.ts";

function setUp() {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  return { clock, driver };
}

/** Lets promises settle, then time pass. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let step = 0; step < ms; step++) {
    for (let tick = 0; tick < 5; tick++) await Promise.resolve();
    clock.advance(1);
  }
  for (let tick = 0; tick < 5; tick++) await Promise.resolve();
}

function counting(result: () => LoopResult | Promise<LoopResult> = () => {}) {
  const runs = {
    count: 0,
    run: () => {
      runs.count++;
      return result();
    },
  };
  return runs;
}

test("a loop runs at once, then with its period", async () => {
  const { clock, driver } = setUp();
  const loop = counting();
  driver.add({ name: "a", purpose: "", periodMs: 10, run: loop.run });
  await pass(clock, 1);
  assert.equal(loop.count, 1);
  await pass(clock, 100);
  assert.ok(loop.count >= 9 && loop.count <= 11, `${loop.count}`);
});

test("any number of wake-ups during a run are exactly one more run", async () => {
  const { clock, driver } = setUp();
  const gate = Promise.withResolvers<void>();
  const loop = counting(() => gate.promise);
  const added = driver.add({ name: "a", purpose: "", run: loop.run });
  await pass(clock, 1);
  for (let count = 0; count < 50; count++) added.wake();
  assert.equal(added.status().state, "running");
  assert.equal(loop.count, 1, "one run at a time");
  gate.resolve();
  await pass(clock, 20);
  assert.equal(loop.count, 2);
  assert.equal(added.status().state, "idle");
});

test("a body that wakes its own loop in its first turn is run once more, never twice at once", async () => {
  const { clock, driver } = setUp();
  let atOnce = 0;
  let most = 0;
  let runs = 0;
  const loop = driver.add({
    name: "a",
    purpose: "",
    run: async () => {
      if (++runs === 1) loop.wake();
      most = Math.max(most, ++atOnce);
      for (let tick = 0; tick < 3; tick++) await Promise.resolve();
      await new Promise<void>((resolve) => clock.setTimer(3, resolve));
      atOnce--;
    },
  });
  await pass(clock, 30);
  assert.deepEqual({ runs, most }, { runs: 2, most: 1 });
});

test("wake-ups gather before a run", async () => {
  const { clock, driver } = setUp();
  const loop = counting();
  const added = driver.add({ name: "a", purpose: "", gatherMs: 10, run: loop.run });
  await pass(clock, 12);
  assert.equal(loop.count, 1);
  added.wake();
  await pass(clock, 5);
  added.wake();
  assert.equal(loop.count, 1);
  await pass(clock, 6);
  assert.equal(loop.count, 2);
});

test("a run may ask for the next, which comes no later than the period", async () => {
  const { clock, driver } = setUp();
  const loop = counting(() => ({ againMs: 3 }));
  driver.add({ name: "a", purpose: "", periodMs: 1_000, run: loop.run });
  await pass(clock, 40);
  assert.ok(loop.count >= 9, `${loop.count}`);
});

test("failures back off, longer each time, and a wake-up does not shorten that", async () => {
  const { clock, driver } = setUp();
  let failing = true;
  const loop = counting(() => {
    if (failing) throw new Error("broken");
  });
  const added = driver.add({ name: "a", purpose: "", run: loop.run });
  const starts: number[] = [];
  for (let step = 0; step < 2_000; step++) {
    const before = loop.count;
    added.wake();
    await pass(clock, 1);
    if (loop.count > before) starts.push(clock.monotonic());
  }
  const gaps = starts.slice(1).map((start, index) => start - (starts[index] ?? 0));
  assert.ok(gaps.length >= 3 && gaps.length <= 6, gaps.join());
  for (const [index, gap] of gaps.entries()) assert.ok(gap > 1.4 * (gaps[index - 1] ?? 0));
  const status = added.status();
  assert.equal(status.state, "backing-off");
  assert.equal(status.lastError, "broken");
  assert.equal(status.failures, status.failuresInRow);
  failing = false;
  await pass(clock, 5_000);
  assert.equal(added.status().failuresInRow, 0);
  assert.equal(added.status().state, "idle");
});

test("a stopped loop's run is cancelled and awaited, and none starts any more", async () => {
  const { clock, driver } = setUp();
  let ended = false;
  driver.add({
    name: "a",
    purpose: "",
    periodMs: 1,
    run: (signal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => {
          ended = true;
          resolve();
        });
      }),
  });
  await pass(clock, 2);
  await driver.stop();
  assert.ok(ended);
  assert.deepEqual(
    driver.statuses().map(({ state, runs }) => [state, runs]),
    [["stopped", 1]],
  );
  await pass(clock, 100);
  assert.equal(driver.statuses()[0]?.runs, 1);
  assert.equal(driver.statuses()[0]?.failures, 0, "a cancelled run has not failed");
});

test("names are unique, and free again after removal", async () => {
  const { clock, driver } = setUp();
  const options = { name: "a", purpose: "", run: () => {} };
  driver.add(options);
  assert.throws(() => driver.add(options), /exists already/);
  await driver.remove("a");
  driver.add(options);
  await pass(clock, 1);
});
