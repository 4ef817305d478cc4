import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, silentLogger } from "@berth/base";
import type { ProgramResult } from "../program.ts";
import { BUSY_SHARE, CALM_SHARE, LOOKS, ThreadPriority } from "./thread-priority.ts";

const LOOK_MS = 1_000;
const DONE: ProgramResult = { kind: "ended", code: 0, stdout: "", stderr: "" };
const DENIED: ProgramResult = { ...DONE, code: 1, stderr: "chrt: failed: not permitted\n" };

/** A thread whose share of a processor a test sets, and what `chrt` was asked. */
function subject(answer: () => ProgramResult = () => DONE) {
  const clock = new ManualClock(0);
  const asked: string[] = [];
  let cpuMs = 0;
  const priority = new ThreadPriority({
    clock,
    log: silentLogger,
    cpuMsOf: (threadId) => (threadId === 0 ? undefined : cpuMs),
    run: async (argv) => {
      asked.push(argv.join(" "));
      return answer();
    },
  });
  return {
    asked,
    standing: () => priority.standing,
    async looks(count: number, share: number, threadId = 7): Promise<void> {
      for (let look = 0; look < count; look++) {
        await clock.advance(LOOK_MS);
        cpuMs += share * LOOK_MS;
        await priority.look(threadId);
      }
    },
  };
}

test("the thread comes first from the first look on, and is asked for once", async () => {
  const { asked, looks, standing } = subject();
  await looks(3, 0.1);
  assert.deepEqual(asked, ["chrt --reset-on-fork --fifo --pid 1 7"]);
  assert.equal(standing(), "urgent");
});

test("one that takes much is ordinary until it has been calm for a while", async () => {
  const { asked, looks, standing } = subject();
  await looks(LOOKS, BUSY_SHARE + 0.01);
  await looks(1, BUSY_SHARE);
  await looks(LOOKS - 1, BUSY_SHARE + 0.01);
  assert.equal(standing(), "urgent", "the first look only begins, and busy means in a row");
  await looks(1, BUSY_SHARE + 0.01);
  assert.equal(standing(), "ordinary");
  assert.equal(asked[1], "chrt --other --pid 0 7");
  await looks(LOOKS - 1, CALM_SHARE - 0.01);
  await looks(1, CALM_SHARE + 0.01);
  await looks(LOOKS - 1, CALM_SHARE - 0.01);
  assert.equal(standing(), "ordinary", "calm in a row, not in sum");
  await looks(1, CALM_SHARE - 0.01);
  assert.equal(standing(), "urgent");
  assert.equal(asked.length, 3);
});

test("three quarters of a processor are not too much", async () => {
  const { looks, standing } = subject();
  await looks(3 * LOOKS, BUSY_SHARE);
  assert.equal(standing(), "urgent");
});

test("a thread that died is forgotten, its successor comes first as well", async () => {
  const { asked, looks } = subject();
  await looks(1, 0);
  await looks(1, 0, 8);
  assert.deepEqual(asked.slice(1), ["chrt --reset-on-fork --fifo --pid 1 8"]);
});

test("one that is gone is not asked for", async () => {
  const { asked, looks } = subject();
  await looks(2, 0, 0);
  assert.deepEqual(asked, []);
});

test("where it is not permitted it is not tried again", async () => {
  const { asked, looks, standing } = subject(() => DENIED);
  await looks(30, 0.1);
  assert.equal(asked.length, 1);
  assert.equal(standing(), "refused");
  const without = subject(() => ({ kind: "missing" }));
  await without.looks(30, 0.1);
  assert.equal(without.standing(), "refused");
});

test("one that could not be made ordinary is tried again", async () => {
  let answer = DONE;
  const { asked, looks, standing } = subject(() => answer);
  await looks(1, 0);
  answer = DENIED;
  await looks(LOOKS + 1, 0.9);
  assert.equal(standing(), "urgent");
  answer = DONE;
  await looks(1, 0.9);
  assert.equal(standing(), "ordinary");
  assert.equal(asked.length, 4);
});
