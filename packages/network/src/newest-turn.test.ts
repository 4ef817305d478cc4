import assert from "node:assert/strict";
import { test } from "node:test";
import { NewestTurn } from "./newest-turn.ts";

test("whoever asks during a run shares the next one, which begins after the asking", async () => {
  const turn = new NewestTurn();
  const gates: (() => void)[] = [];
  const seen: number[] = [];
  let state = 0;
  const ask = () =>
    turn.run(async () => {
      const saw = state;
      await new Promise<void>((resolve) => gates.push(resolve));
      seen.push(saw);
    });
  const first = ask();
  await new Promise(setImmediate);
  const later = [1, 2, 3].map((next) => {
    state = next;
    return ask();
  });
  gates.shift()?.();
  await first;
  await new Promise(setImmediate);
  gates.shift()?.();
  await Promise.all(later);
  assert.deepEqual(seen, [0, 3], "one run for three");
  await turn.idle();
});

test("a run that fails fails who waited for it, and nobody else", async () => {
  const turn = new NewestTurn();
  const failing = turn.run(() => Promise.reject(new RangeError("no")));
  await assert.rejects(failing, RangeError);
  let ran = false;
  await turn.run(async () => {
    ran = true;
  });
  assert.equal(ran, true);
});
