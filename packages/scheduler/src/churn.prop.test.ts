/**
 * A transaction that lives through arbitrary changes answers like one that is made anew from the same
 * cluster. This is what an indexed inside must keep: nothing remembered that is not in the model.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeOptions, makeTask } from "./testing/fixtures.ts";
import { randomScene } from "./testing/random-scene.ts";
import { schedule, Transaction } from "./transaction.ts";

const node = fc.constantFrom("n0", "n1", "n2", "n3");
const id = fc.constantFrom("t0", "t1", "t2", "a0.0", "a1.0", "a2.1");

/** One change; what does not apply (an id that is not there) is passed over. */
const change = fc.oneof(
  fc.record({ kind: fc.constant("schedule" as const) }),
  fc.record({ kind: fc.constant("release" as const), id }),
  fc.record({ kind: fc.constant("apply" as const), node, cpuMillis: fc.nat(500) }),
  fc.record({ kind: fc.constant("turn" as const), node, ready: fc.boolean() }),
  fc.record({ kind: fc.constant("drain" as const), node, draining: fc.boolean() }),
  fc.record({ kind: fc.constant("settle" as const) }),
  fc.record({ kind: fc.constant("undo" as const), back: fc.nat(3) }),
);

test("after any changes a transaction answers like a new one", () => {
  fc.assert(
    fc.property(randomScene, fc.array(change, { maxLength: 12 }), (scene, changes) => {
      const options = makeOptions(scene);
      const transaction = new Transaction(scene.cluster, options);
      const marks = [{ mark: transaction.mark(), text: JSON.stringify(transaction.cluster()) }];
      for (const [step, each] of changes.entries()) {
        switch (each.kind) {
          case "schedule":
            // A batch of new names each time, so that none of them is there already.
            transaction.schedule(scene.asks.map((ask) => ({ ...ask, id: `${ask.id}.${step}` })));
            break;
          case "release":
            transaction.release(each.id);
            break;
          case "apply": {
            const requests = { cpuMillis: each.cpuMillis };
            transaction.apply(makeTask(`new${step}`, each.node, { requests }));
            break;
          }
          case "turn":
            transaction.turn(each.node, { ready: each.ready });
            break;
          case "drain":
            transaction.turn(each.node, { draining: each.draining });
            break;
          case "settle":
            // What was before cannot be returned to; what is stays as it is.
            transaction.settle();
            marks.length = 0;
            break;
          case "undo": {
            const target = Math.max(0, marks.length - 1 - each.back);
            const past = marks[target];
            assert.ok(past !== undefined);
            transaction.undo(past.mark);
            assert.equal(JSON.stringify(transaction.cluster()), past.text);
            marks.length = target + 1;
            continue;
          }
        }
        marks.push({ mark: transaction.mark(), text: JSON.stringify(transaction.cluster()) });
      }
      const anew = JSON.stringify(schedule(transaction.cluster(), scene.asks, options));
      assert.equal(JSON.stringify(transaction.schedule(scene.asks)), anew);
    }),
    { numRuns: Number(process.env["RUNS"] ?? 500), seed: 13 },
  );
});
