/**
 * A write with an idempotency key happens once: whatever the network loses, whatever the store does not
 * know, however many ask at the same time, and over a restart of the server.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Prng } from "@berth/base";
import { keys, ProtocolError, type Stack } from "@berth/protocol";
import { FaultyStore } from "../store/faulty.ts";
import { MemoryStore } from "../store/memory.ts";
import {
  ADMIN_TOKEN,
  type ApiFixture,
  releaseRow,
  SCOPE,
  settled,
  stackRow,
  startFixture,
} from "./api-fixture.ts";
import { InProcessClient } from "./in-process-client.ts";

const RUNS = 25;
const WRITERS = 4;
const WRITES = 5;
/** Tries of one write: with these chances of loss more would mean that nothing ever gets through. */
const TRIES_MAX = 200;

/** A client that repeats each write with its key until it is answered, on a network that loses things. */
async function write(
  fixture: () => ApiFixture,
  prng: Prng,
  idempotencyKey: string,
): Promise<Stack> {
  const lose = async () => {
    if (prng.chance(0.25)) throw new ProtocolError("unavailable", "lost");
  };
  const client = new InProcessClient({
    dispatcher: () => fixture().api.dispatcher,
    token: ADMIN_TOKEN,
    newId: () => fixture().newId(),
    network: { before: lose, after: lose },
  });
  const params = { ...SCOPE, service: "web" };
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    try {
      return await client.call("restartService", { params, idempotencyKey });
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      if (!["unavailable", "conflict", "too_many_requests"].includes(error.code)) throw error;
    }
  }
  return assert.fail("a write never got through");
}

test("every write that was answered happened once, also when asked many times", async () => {
  for (let run = 0; run < RUNS; run++) {
    const prng = new Prng(run);
    const clock = new ManualClock();
    const memory = new MemoryStore({ clock });
    const store = new FaultyStore({ store: memory, clock, prng: prng.fork() });
    let fixture = await startFixture({ clock, store });
    await fixture.put(keys.stack(SCOPE), stackRow());
    await fixture.put(keys.release(SCOPE, 1), releaseRow());
    store.faults = {
      ...store.faults,
      latencyMsMax: 3,
      lostReplyChance: 0.1,
      lostRequestChance: 0.1,
      refusalChance: 0.05,
    };
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      const own = prng.fork();
      const answers: number[] = [];
      for (let index = 0; index < WRITES; index++) {
        // Two ask with the same key at the same time: a client's own repetition that overtakes it.
        const key = `w${writer}-${index}`;
        const both = [write(() => fixture, own, key), write(() => fixture, own.fork(), key)];
        const [first, second] = await Promise.all(both);
        assert.deepEqual(second, first, "the same key has the same answer");
        answers.push(first?.restarts["web"] ?? 0);
      }
      return answers;
    });
    const answers = (await settled(clock, Promise.all(writers))).flat();
    store.faults = { ...store.faults, lostReplyChance: 0, lostRequestChance: 0, refusalChance: 0 };
    const { entry } = await settled(clock, memory.get(keys.stack(SCOPE)));
    const stack = JSON.parse(entry?.value ?? "{}") as Stack;
    assert.equal(stack.restarts["web"], WRITERS * WRITES, `seed ${run}`);
    // Each write has raised the counter by one: the answers are all different.
    assert.equal(new Set(answers).size, WRITERS * WRITES);
    // A server that was started again knows the keys.
    fixture = await startFixture({ clock, store: memory });
    const repeated = await settled(
      clock,
      write(() => fixture, prng.fork(), "w0-0"),
    );
    assert.equal(repeated.restarts["web"], answers[0]);
  }
});
