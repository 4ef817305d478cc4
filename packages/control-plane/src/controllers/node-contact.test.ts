/** What follows from silence and return: one that is lost is lost, many at once are not believed, flapping counts. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "@berth/protocol";
import { afterTime, becomeHeard, becomeSilent, isMassOutage } from "./node-contact.ts";

const SETTINGS = {
  massOutageShare: 0.2,
  massOutagePauseMs: 300_000,
  flapCount: 3,
  flapWindowMs: 600_000,
  heldBackMs: 300_000,
};
const NODE: Node = {
  name: "n1",
  labels: {},
  availability: "active",
  joinedAt: 0,
  contact: "up",
  contactChangedAt: 0,
};

test("one lost node is acted upon, however few there are; more than a fifth is not", () => {
  const cases = [
    [1, 2, false],
    [2, 3, true],
    [2, 10, false],
    [3, 10, true],
    [20, 100, false],
    [21, 100, true],
  ] as const;
  for (const [silent, total, isMass] of cases) {
    assert.equal(isMassOutage(silent, total, SETTINGS), isMass, `${silent} of ${total}`);
  }
});

test("in a mass outage nothing is given up for a while, and it counts for no flapping", () => {
  const silent = becomeSilent(NODE, 1_000, SETTINGS, true);
  assert.deepEqual(silent, {
    ...NODE,
    contact: "down",
    contactChangedAt: 1_000,
    evictionPausedUntil: 301_000,
  });
  assert.equal(afterTime(silent, 300_999), undefined);
  const { evictionPausedUntil: _, ...given } = silent;
  assert.deepEqual(afterTime(silent, 301_000), given);
  assert.deepEqual(becomeHeard(silent, 5_000, SETTINGS), { ...NODE, contactChangedAt: 5_000 });
});

/** A node that was silent at each of the times, for ten seconds. */
function flapped(times: readonly number[]): Node {
  return times.reduce(
    (node, at) => becomeHeard(becomeSilent(node, at, SETTINGS, false), at + 10_000, SETTINGS),
    NODE,
  );
}

test("a node that falls silent again and again is held back until it was in contact for a while", () => {
  assert.equal(flapped([0, 60_000]).heldBackUntil, undefined);
  const held = flapped([0, 60_000, 120_000]);
  assert.deepEqual([held.heldBackUntil, held.silences], [430_000, [0, 60_000, 120_000]]);
  assert.equal(afterTime(held, 429_999), undefined);
  const free = afterTime(held, 430_000);
  assert.equal(free?.heldBackUntil, undefined);
});

test("silences that lie back longer than the window are forgotten", () => {
  const node = flapped([0, 60_000, 700_000]);
  assert.deepEqual([node.heldBackUntil, node.silences], [undefined, [700_000]]);
});

test("silence does not count towards being in contact", () => {
  const held = flapped([0, 60_000, 120_000]);
  const silent = becomeSilent(held, 200_000, SETTINGS, false);
  assert.equal(afterTime(silent, 1_000_000), undefined);
  assert.equal(becomeHeard(silent, 450_000, SETTINGS).heldBackUntil, 750_000);
});

test("however often a node falls silent, its row does not grow", () => {
  const times = Array.from({ length: 50 }, (_, index) => index * 11_000);
  assert.equal(flapped(times).silences?.length, SETTINGS.flapCount);
});
