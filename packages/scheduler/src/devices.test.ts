/** Which devices a task gets: best fit, distinct within a request, another choice where greed fails. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { chooseDevices, type DeviceState, devicesOf } from "./devices.ts";
import type { DeviceNeed } from "./resources.ts";
import { makeNode } from "./testing/fixtures.ts";

function device(model: string, index: number, freeMillis: number): DeviceState {
  return { kind: "gpu", model, index, freeMillis };
}

function need(shareMillis: number, count = 1, models: readonly string[] = []): DeviceNeed {
  return { kind: "gpu", count, shareMillis, models };
}

test("devices of a kind are numbered through, models in the order of the node", () => {
  const node = makeNode("n", {
    devices: [
      { kind: "gpu", model: "a", count: 2 },
      { kind: "tpu", model: "x", count: 1 },
      { kind: "gpu", model: "b", count: 1 },
    ],
  });
  const seen = devicesOf(node).map(({ kind, model, index }) => `${kind} ${model} ${index}`);
  assert.deepEqual(seen, ["gpu a 0", "gpu a 1", "tpu x 0", "gpu b 2"]);
});

/** Free thousandths by device, needs, indexes by need or nothing. */
const CASES: readonly (readonly [
  string,
  readonly DeviceState[],
  readonly DeviceNeed[],
  unknown,
])[] = [
  ["nothing asked", [device("a", 0, 0)], [], []],
  ["the fullest that fits", [device("a", 0, 1_000), device("a", 1, 300)], [need(250)], [[1]]],
  ["the lowest of equals", [device("a", 0, 500), device("a", 1, 500)], [need(250)], [[0]]],
  ["two different ones", [device("a", 0, 1_000), device("a", 1, 400)], [need(250, 2)], [[0, 1]]],
  ["not one twice", [device("a", 0, 1_000)], [need(250, 2)], undefined],
  ["two requests may share one", [device("a", 0, 1_000)], [need(500), need(500)], [[0], [0]]],
  ["only the model", [device("a", 0, 500), device("b", 1, 1_000)], [need(250, 1, ["b"])], [[1]]],
  [
    "the picky request first",
    [device("a", 0, 1_000), device("b", 1, 1_000)],
    [need(1_000), need(1_000, 1, ["a"])],
    [[1], [0]],
  ],
  [
    "takes a choice back",
    [device("a", 0, 500), device("b", 1, 700), device("c", 2, 700)],
    [need(400, 1, ["a", "b"]), need(500, 1, ["b", "a"]), need(600, 1, ["b", "c"])],
    [[1], [0], [2]],
  ],
  ["none free", [device("a", 0, 0)], [need(1)], undefined],
  ["given away twice already", [device("a", 0, -500)], [need(1)], undefined],
];

test("hands out devices", () => {
  for (const [name, devices, needs, expected] of CASES) {
    const chosen = chooseDevices(devices, needs)?.map(({ indexes }) => indexes);
    assert.deepEqual(chosen, expected, name);
  }
});

test("finds a choice exactly when one exists", () => {
  const state = fc.record({
    model: fc.constantFrom("a", "b"),
    free: fc.integer({ min: 0, max: 4 }),
  });
  const request = fc.record({
    share: fc.integer({ min: 1, max: 4 }),
    count: fc.integer({ min: 1, max: 2 }),
    models: fc.constantFrom<string[]>([], ["a"], ["b"]),
  });
  fc.assert(
    fc.property(
      fc.array(state, { maxLength: 4 }),
      fc.array(request, { minLength: 1, maxLength: 3 }),
      (states, requests) => {
        const devices = states.map(({ model, free }, index) => device(model, index, free * 250));
        const needs = requests.map(({ share, count, models }) => need(share * 250, count, models));
        const before = JSON.stringify(devices);
        const chosen = chooseDevices(devices, needs);
        assert.equal(JSON.stringify(devices), before);
        assert.equal(chosen !== undefined, choiceExists(devices, needs));
      },
    ),
    { numRuns: 1_500, seed: 5 },
  );
});

/** Every request in order, every subset of devices of its size. */
function choiceExists(devices: readonly DeviceState[], needs: readonly DeviceNeed[]): boolean {
  const [first, ...rest] = needs;
  if (first === undefined) return true;
  for (let subset = 0; subset < 2 ** devices.length; subset++) {
    const chosen = devices.filter((_, index) => (subset & (1 << index)) !== 0);
    if (chosen.length !== first.count) continue;
    const fits = chosen.every(
      ({ model, freeMillis }) =>
        freeMillis >= first.shareMillis &&
        (first.models.length === 0 || first.models.includes(model)),
    );
    if (!fits) continue;
    const left = devices.map((each) =>
      chosen.includes(each) ? { ...each, freeMillis: each.freeMillis - first.shareMillis } : each,
    );
    if (choiceExists(left, rest)) return true;
  }
  return false;
}
