/** The clock that stands still until it is told, and waiting on any clock. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock, sleep, systemClock } from "./clock.ts";

test("timers fire in the order of their time, of one instant in the order in which they were set", () => {
  const delays = fc.array(fc.integer({ min: -5, max: 50 }), { maxLength: 30 });
  fc.assert(
    fc.property(delays, (list) => {
      const clock = new ManualClock();
      const fired: number[] = [];
      for (const [index, delay] of list.entries()) {
        clock.setTimer(delay, () => {
          assert.equal(clock.monotonic(), Math.max(0, delay));
          fired.push(index);
        });
      }
      clock.advance(100);
      const expected = list
        .map((delay, index) => ({ due: Math.max(0, delay), index }))
        .sort((a, b) => a.due - b.due || a.index - b.index)
        .map(({ index }) => index);
      assert.deepEqual(fired, expected);
      assert.equal(clock.nextDue(), undefined);
    }),
    { seed: 5 },
  );
});

test("a timer that is set while time passes fires within the same advance", () => {
  const clock = new ManualClock();
  const seen: number[] = [];
  const again = () => {
    seen.push(clock.monotonic());
    if (seen.length < 5) clock.setTimer(10, again);
  };
  clock.setTimer(10, again);
  clock.advance(35);
  assert.deepEqual(seen, [10, 20, 30]);
  assert.equal(clock.monotonic(), 35);
});

test("a cancelled timer never fires, cancelling a fired one is harmless", () => {
  const clock = new ManualClock(1_000);
  let fired = 0;
  const cancel = clock.setTimer(5, () => fired++);
  clock.setTimer(6, () => fired++);
  cancel();
  clock.advance(10);
  cancel();
  assert.equal(fired, 1);
  assert.equal(clock.now(), 1_010);
  assert.equal(clock.fireNext(), false);
});

test("a sleep ends in time, or with the reason of its signal and without a timer left", async () => {
  const clock = new ManualClock();
  const slept = sleep(clock, 10);
  clock.advance(10);
  await slept;
  const abort = new AbortController();
  const waiting = sleep(clock, 10, abort.signal);
  abort.abort(new Error("no more"));
  await assert.rejects(waiting, /no more/);
  assert.equal(clock.nextDue(), undefined);
  await assert.rejects(sleep(clock, 10, AbortSignal.abort(new Error("before"))), /before/);
});

test("the system's clock does not go back, and takes delays that Node's timers do not", () => {
  const first = systemClock.monotonic();
  assert.ok(systemClock.monotonic() >= first);
  const cancel = systemClock.setTimer(2 ** 40, () => assert.fail("fired at once"));
  cancel();
});

test("a manual clock's wall time follows steps that are smaller than a date can tell", () => {
  const clock = new ManualClock();
  const start = clock.now();
  for (let step = 0; step < 10_000; step++) clock.advance(0.0001);
  assert.ok(Math.abs(clock.now() - start - 1) < 0.01, `${clock.now() - start} ms after 1 ms`);
});
