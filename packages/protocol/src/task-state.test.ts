/** The life of a task: every pair of positions, exhaustively. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  comparePositions,
  isFinal,
  isForward,
  mayBeAlive,
  TASK_STATES,
  type TaskPosition,
  type TaskState,
} from "./task-state.ts";

const states = Object.keys(TASK_STATES) as TaskState[];
const positions: TaskPosition[] = [0, 1, 2, 3].flatMap((attempt) =>
  states.map((state) => ({ attempt, state })),
);

test("positions have one order: of any three, comparison is total and transitive", () => {
  for (const a of positions) {
    for (const b of positions) {
      assert.equal(Math.sign(comparePositions(a, b)), -Math.sign(comparePositions(b, a)) + 0);
      const same = a.attempt === b.attempt && a.state === b.state;
      assert.equal(comparePositions(a, b) === 0, same);
      for (const c of positions) {
        if (comparePositions(a, b) < 0 && comparePositions(b, c) < 0) {
          assert.ok(comparePositions(a, c) < 0);
        }
      }
    }
  }
});

test("no move leads back, and none out of what is final but to removal", () => {
  for (const from of positions) {
    for (const to of positions) {
      if (!isForward(from, to)) continue;
      assert.ok(!isForward(to, from), "a move and its opposite");
      assert.ok(to.attempt >= from.attempt, "attempts only grow");
      if (isFinal(from.state)) assert.ok(isFinal(to.state), `${from.state} → ${to.state}`);
    }
  }
});

test("a restart begins the next attempt, and nothing after removal", () => {
  assert.ok(isForward({ attempt: 1, state: "exited" }, { attempt: 2, state: "pulling" }));
  assert.ok(!isForward({ attempt: 2, state: "pulling" }, { attempt: 1, state: "running" }));
  assert.ok(!isForward({ attempt: 1, state: "ended" }, { attempt: 2, state: "pulling" }));
  assert.ok(isForward({ attempt: 2, state: "ended" }, { attempt: 2, state: "removed" }));
});

test("every state but the last two may hold volumes, ports and addresses", () => {
  const dead = states.filter((state) => !mayBeAlive(state));
  assert.deepEqual(dead, ["ended", "removed"]);
});
