import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Engine } from "../dense/engine.ts";
import type { Ask, NodeModel } from "../model.ts";
import { constraint, makeAsk, makeNode } from "../testing/fixtures.ts";
import { wholeAsks } from "./whole-asks.ts";

const ask = fc.record({
  cpu: fc.integer({ min: 1, max: 4 }),
  port: fc.constantFrom(undefined, undefined, 80, 443),
  pod: fc.constantFrom(undefined, undefined, "p0", "p1"),
  onGold: fc.boolean(),
});

const scene = fc
  .record({
    nodes: fc.array(
      fc.record({ cpu: fc.integer({ min: 2, max: 9 }), gold: fc.boolean(), taken: fc.boolean() }),
      { minLength: 1, maxLength: 4 },
    ),
    asks: fc.array(ask, { minLength: 1, maxLength: 10 }),
  })
  .map(({ nodes, asks }) => ({
    nodes: nodes.map(({ cpu, gold, taken }, at) =>
      makeNode(`n${at}`, {
        cpuMillis: cpu,
        labels: { tier: gold ? "gold" : "tin" },
        portsTaken: taken ? [{ protocol: "tcp", port: 443 }] : [],
      }),
    ),
    asks: asks.map(({ cpu, port, pod, onGold }, at) =>
      makeAsk(`a${at}`, {
        requests: { cpuMillis: cpu },
        ...(port === undefined ? {} : { ports: [{ protocol: "tcp", port }] }),
        ...(pod === undefined ? {} : { pod }),
        ...(onGold ? { constraints: [constraint("node.labels.tier==gold")] } : {}),
      }),
    ),
  }));

/** Written from the words alone: may all of `members` be on the node beside `there`? */
function fits(node: NodeModel, members: readonly Ask[], there: readonly Ask[]): boolean {
  const all = [...there, ...members];
  const cpu = all.reduce((sum, { requests }) => sum + (requests.cpuMillis ?? 0), 0);
  const others = there.flatMap(({ ports }) => ports ?? []);
  const held = new Set([...(node.portsTaken ?? []), ...others].map(({ port }) => port));
  const wanted = members.flatMap(({ ports }) => ports ?? []);
  return (
    cpu <= node.cpuMillis &&
    wanted.every(({ port }) => !held.has(port)) &&
    members.every((each) => each.constraints === undefined || node.labels["tier"] === "gold")
  );
}

test("ports and pods are obeyed by the engine that does not know them", () => {
  let placed = 0;
  let refused = 0;
  fc.assert(
    fc.property(scene, ({ nodes, asks }) => {
      const whole = wholeAsks(nodes, asks);
      const engine = new Engine(whole.nodes, { seed: 1, strategy: "tightest" });
      const on = new Map<string, Ask[]>(nodes.map(({ id }) => [id, []]));
      for (const unit of whole.asks) {
        const members = asks.filter(({ id }) => whole.unitOf.get(id) === unit.id);
        const [decision] = engine.decide([unit]);
        const candidates = nodes.filter((node) => fits(node, members, on.get(node.id) ?? []));
        if (decision?.node === undefined) {
          refused++;
          assert.deepEqual(candidates, [], `${unit.id} was refused`);
          continue;
        }
        placed++;
        assert.ok(
          candidates.some(({ id }) => id === decision.node),
          `${unit.id} may not be on ${decision.node}`,
        );
        on.get(decision.node)?.push(...members);
      }
    }),
    { numRuns: Number(process.env["RUNS"] ?? 500) },
  );
  assert.ok(placed > 300 && refused > 300, `${placed} placed, ${refused} refused`);
});

test("a trace without ports and pods stays as it is", () => {
  const nodes = [makeNode("n")];
  const asks = [makeAsk("a"), makeAsk("b", { requests: { cpuMillis: 1 } })];
  const whole = wholeAsks(nodes, asks);
  assert.equal(whole.nodes, nodes);
  assert.deepEqual(whole.asks, asks);
  assert.deepEqual(
    [...whole.unitOf],
    [
      ["a", "a"],
      ["b", "b"],
    ],
  );
});
