/**
 * Gangs against every possible assignment: what can be placed is placed, whole; what cannot, is not touched.
 * Small enough to enumerate (at most four members on four nodes).
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Ask, NodeModel, RunningTask } from "./model.ts";
import { constraint, makeAsk, makeNode, makeOptions } from "./testing/fixtures.ts";
import { oracleFits } from "./testing/oracle.ts";
import { schedule } from "./transaction.ts";

const node = fc.record({
  cpuMillis: fc.integer({ min: 1, max: 6 }),
  labels: fc.record({ tier: fc.constantFrom("gold", "tin") }),
});

const member = fc.record({
  requests: fc.record({ cpuMillis: fc.integer({ min: 0, max: 4 }) }),
  constraints: fc.constantFrom([], [], [constraint("node.labels.tier==gold")]),
  ports: fc.constantFrom<NonNullable<Ask["ports"]>>([], [], [{ protocol: "tcp", port: 80 }]),
});

const gangs = fc.record({
  nodes: fc.array(node, { minLength: 1, maxLength: 4 }),
  members: fc.array(member, { minLength: 2, maxLength: 4 }),
  strategy: fc.constantFrom("tightest" as const, "room" as const),
});

test("a gang is placed whole exactly when some assignment exists", () => {
  const seen = { placed: 0, refused: 0 };
  fc.assert(
    fc.property(gangs, ({ nodes, members, strategy }) => {
      const hosts = nodes.map((over, index) => makeNode(`n${index}`, over));
      const asks = members.map((over, index) => makeAsk(`m${index}.1`, { ...over, gang: "g" }));
      const plan = schedule({ nodes: hosts, tasks: [] }, asks, makeOptions({ strategy }));
      const expected = assignmentExists(hosts, asks, []) ? asks.length : 0;
      assert.equal(plan.placements.length, expected);
      assert.equal(plan.refusals.length, asks.length - expected);
      for (const { together } of plan.refusals) assert.equal(together?.size, asks.length);
      seen[expected > 0 ? "placed" : "refused"]++;
    }),
    { numRuns: 1_500, seed: 3 },
  );
  assert.ok(seen.placed > 300 && seen.refused > 300, JSON.stringify(seen));
});

/** Tries every node for the first ask, and so on. */
function assignmentExists(
  nodes: readonly NodeModel[],
  asks: readonly Ask[],
  tasks: readonly RunningTask[],
): boolean {
  const [ask, ...rest] = asks;
  if (ask === undefined) return true;
  return nodes.some(
    (node) =>
      oracleFits({ nodes, tasks, defaults: {} }, ask, node) &&
      assignmentExists(nodes, rest, [...tasks, { ...ask, node: node.id }]),
  );
}
