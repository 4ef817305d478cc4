/** Leases: silence counts, our own stalls do not. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { leaseMsFor } from "./lease-length.ts";
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

test("leases are longer where there are so many nodes that renewals would be too many", () => {
  const settings = { leaseMs: 3_000, leaseRenewalsPerSecondMax: 1_000 };
  const lengths = [0, 1, 1_000, 1_001, 5_000].map((nodes) => leaseMsFor(nodes, settings));
  assert.deepEqual(lengths, [3_000, 3_000, 3_000, 3_003, 15_000]);
});

test("a longer lease counts at once", () => {
  const leases = new NodeLeases(SETTINGS);
  leases.look(["a"], 0, PERIOD_MS);
  leases.setLength(15_000, 1_000);
  assert.deepEqual(silentAfter(leases, ["a"], 1_000, 15_000), []);
  assert.deepEqual(silentAfter(leases, ["a"], 16_000, 16_000), ["a"]);
});

test("a shorter lease counts when every agent has been told, and each shorter one anew", () => {
  const leases = new NodeLeases({ leaseMs: 15_000 });
  const isSilent = (at: number) => leases.isSilent("a", at);
  leases.look(["a"], 0, PERIOD_MS);
  leases.setLength(6_000, 0);
  leases.renew("a", 10_000);
  leases.setLength(3_000, 10_000);
  // Told 6 s until now: it renews no sooner than that lease asks for.
  leases.setLength(3_000, 20_000);
  assert.equal(isSilent(20_000), false);
  leases.setLength(3_000, 25_001);
  assert.equal(isSilent(25_001), true);
});

test("a lease that is to be shorter and is not, after all, stays as long", () => {
  const leases = new NodeLeases({ leaseMs: 15_000 });
  leases.look(["a"], 0, PERIOD_MS);
  leases.setLength(3_000, 0);
  leases.setLength(15_000, 10_000);
  leases.renew("a", 12_000);
  leases.setLength(3_000, 16_000);
  assert.equal(leases.isSilent("a", 20_000), false);
});
