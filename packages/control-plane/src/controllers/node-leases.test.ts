/** Leases: silence counts, our own stalls do not. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeLeases } from "./node-leases.ts";

const SETTINGS = { leaseMs: 6_000 };
const PERIOD_MS = 1_000;

function silentAfter(leases: NodeLeases, nodes: readonly string[], from: number, to: number) {
  for (let now = from; now <= to; now += PERIOD_MS) leases.look(nodes, now, PERIOD_MS);
  return nodes.filter((node) => leases.isSilent(node, to));
}

test("a node that is not heard of for its lease is silent, one that renews is not", () => {
  const leases = new NodeLeases(SETTINGS);
  leases.look(["a", "b"], 0, PERIOD_MS);
  leases.renew("b", 4_000);
  assert.deepEqual(silentAfter(leases, ["a", "b"], 1_000, 6_000), []);
  assert.deepEqual(silentAfter(leases, ["a", "b"], 7_000, 7_000), ["a"]);
  leases.renew("a", 7_500);
  assert.deepEqual(silentAfter(leases, ["a", "b"], 8_000, 8_000), []);
});

test("after a start every known node has a whole lease", () => {
  const leases = new NodeLeases(SETTINGS);
  leases.look(["a"], 1_000_000, PERIOD_MS);
  assert.equal(leases.isSilent("a", 1_006_000), false);
});

test("a node that was down before a start is not believed to be back until it is heard of", () => {
  const leases = new NodeLeases(SETTINGS);
  leases.look(["a"], 0, PERIOD_MS);
  assert.equal(leases.isHeard("a", 0), false);
  leases.renew("a", 500);
  assert.equal(leases.isHeard("a", 1_000), true);
  assert.equal(leases.isHeard("a", 7_000), false);
});

test("a stall of the server counts against nobody", () => {
  const leases = new NodeLeases(SETTINGS);
  leases.look(["a"], 0, PERIOD_MS);
  leases.look(["a"], 60_000, PERIOD_MS);
  assert.equal(leases.isSilent("a", 60_000), false);
  assert.deepEqual(silentAfter(leases, ["a"], 61_000, 63_000), []);
  assert.deepEqual(silentAfter(leases, ["a"], 64_000, 67_000), ["a"]);
});
