/** A large ask among small ones that come and go: without a reservation it starves, with one it gets its place. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RESERVATION_LIMITS, Reservations } from "./reservations.ts";
import { makeAsk, makeNode, makeOptions } from "./testing/fixtures.ts";
import { Transaction } from "./transaction.ts";

const STEP_MS = 10_000;
const STEPS = 200;

/** Small tasks of a processor each fill both nodes; one leaves each step, and another comes at once. */
function steps(reservations: Reservations | undefined, largePriority = 50) {
  const nodes = [makeNode("a"), makeNode("b")];
  const transaction = new Transaction({ nodes, tasks: [] }, makeOptions());
  const running: string[] = [];
  let count = 0;
  const come = (nowMs: number, priority: number) => {
    const id = `small.${++count}`;
    const ask = makeAsk(id, { slot: count, requests: { cpuMillis: 1_000 }, priority });
    const { placements } =
      reservations?.schedule(transaction, [ask], nowMs) ?? transaction.schedule([ask]);
    if (placements.length > 0) running.push(id);
    return placements[0]?.node;
  };
  for (let at = 0; at < 8; at++) come(0, 50);
  const placedAfter: string[] = [];
  const large = makeAsk("large.1", {
    ...{ slot: 1, requests: { cpuMillis: 4_000 }, priority: largePriority },
  });
  for (let step = 1; step <= STEPS; step++) {
    const nowMs = step * STEP_MS;
    const leaving = running.shift();
    if (leaving !== undefined) transaction.release(leaving);
    const { placements } =
      reservations?.schedule(transaction, [large], nowMs) ?? transaction.schedule([large]);
    const [placed] = placements;
    if (placed !== undefined) return { step, node: placed.node, placedAfter };
    const node = come(nowMs, 50);
    if (node !== undefined && reservations !== undefined && reservations.held.size > 0) {
      placedAfter.push(node);
    }
  }
  return undefined;
}

test("a large ask starves among small ones", () => {
  assert.equal(steps(undefined), undefined);
});

test("with a reservation it has its place once its node has emptied, and the others go on elsewhere", () => {
  const reservations = new Reservations();
  const found = steps(reservations);
  assert.ok(found !== undefined, "it is placed");
  assert.ok(found.step * STEP_MS >= RESERVATION_LIMITS.afterMs);
  assert.ok(!found.placedAfter.includes(found.node), "nobody came to the node that was held");
  assert.ok(found.placedAfter.length > 0, "the other node was not held");
  assert.equal(reservations.held.size, 0);
});

test("nobody of a higher priority is kept out", () => {
  const reservations = new Reservations();
  assert.equal(steps(reservations, 10), undefined);
});

test("what is held is never more than the limit, on nodes of their own that an empty one could give, and goes", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(sizes, fc.array(fc.nat(20), { maxLength: 12 }), (wanted, smaller) => {
      const nodes = ["a", "b", "c", "d", "e", "f"].map((id) => makeNode(id));
      const transaction = new Transaction({ nodes, tasks: [] }, makeOptions());
      const reservations = new Reservations();
      const asks = wanted.map((cpus, index) =>
        makeAsk(`l${index}`, { requests: { cpuMillis: cpus * 1_000 } }),
      );
      const fill = smaller.map((tenths, index) =>
        makeAsk(`s${index}`, { requests: { cpuMillis: tenths * 100 } }),
      );
      transaction.schedule(fill);
      const before = transaction.cluster().tasks.length;
      const { placements } = reservations.schedule(transaction, asks, 0);
      reservations.schedule(
        transaction,
        asks.filter(({ id }) => !placements.some(({ ask }) => ask === id)),
        RESERVATION_LIMITS.afterMs,
      );
      const held = [...reservations.held];
      assert.ok(held.length <= RESERVATION_LIMITS.heldMax);
      assert.equal(new Set(held.map(([, node]) => node)).size, held.length);
      for (const [key] of held) {
        const ask = asks.find(({ service }) => `${service}#0` === key);
        assert.ok((ask?.requests.cpuMillis ?? 9_000) <= 4_000, `${key} fits on an empty node`);
      }
      // Nothing of it is left in the cluster, and it is forgotten when nobody asks any more.
      assert.equal(transaction.cluster().tasks.length, before + placements.length);
      reservations.schedule(transaction, [], 2 * RESERVATION_LIMITS.forgetAfterMs);
      assert.equal(reservations.held.size, 0);
    }),
    { numRuns: 300 },
  );
});
