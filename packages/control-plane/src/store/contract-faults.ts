/**
 * The store's contract under faults: with delays, overtaking, lost requests and replies, refusals, broken
 * watches and early compaction, what callers build on a store must hold. Each property runs for many
 * seeds; a failing one is named in the test's title and replays alone.
 */

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Driver, ManualClock, Prng, silentLogger, sleep } from "@berth/base";
import { keys } from "@berth/protocol";
import { ClusterState } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import { eventsOf, type MakeSubject, watched } from "./contract-subject.ts";
import { StoreError } from "./errors.ts";
import { FaultyStore, NO_FAULTS, type StoreFaults } from "./faulty.ts";
import type { Compare, Operation, Store } from "./port.ts";

const WRITES_UNCERTAIN: Partial<StoreFaults> = {
  latencyMsMax: 20,
  lostReplyChance: 0.2,
  lostRequestChance: 0.1,
  refusalChance: 0.1,
};
const EVERYTHING: Partial<StoreFaults> = {
  ...WRITES_UNCERTAIN,
  brokenWatchChance: 0.1,
  compactionChance: 0.2,
};
const WRITERS = 6;
const WRITES = 10;

/** A store with faults in a world whose time passes by itself. */
interface World {
  readonly store: FaultyStore;
  readonly clock: ManualClock;
  readonly prng: Prng;
  readonly sharesRevisions: boolean;
}

/** Runs the suite for the stores that `makeSubject` makes, once for each seed. */
export function faultContract(
  name: string,
  makeSubject: MakeSubject,
  seeds: readonly number[],
): void {
  describe(`store contract under faults: ${name}`, () => {
    for (const seed of seeds) {
      test(`seed ${seed}: a write of unknown outcome was done once or not at all`, async (context) =>
        writeOnce(await world(context, makeSubject, seed, WRITES_UNCERTAIN)));
      test(`seed ${seed}: retries with an idempotency key count each change once`, async (context) =>
        countOnce(await world(context, makeSubject, seed, WRITES_UNCERTAIN)));
      test(`seed ${seed}: the cluster in memory is the store's once faults have ended`, async (context) =>
        converge(await world(context, makeSubject, seed, EVERYTHING)));
    }
  });
}

async function world(
  context: TestContext,
  makeSubject: MakeSubject,
  seed: number,
  faults: Partial<StoreFaults>,
): Promise<World> {
  const { store: inner, sharesRevisions = false } = await makeSubject(context);
  const clock = new ManualClock();
  const prng = new Prng(seed);
  const store = new FaultyStore({ store: inner, clock, prng: prng.fork(), faults });
  let isOver = false;
  const pump = async () => {
    while (!isOver) {
      await turn();
      clock.advance(1);
    }
  };
  const pumping = pump();
  context.after(async () => {
    isOver = true;
    await pumping;
  });
  return { store, clock, prng, sharesRevisions };
}

/** Each key is written by one transaction that is never repeated. */
async function writeOnce({ store, sharesRevisions }: World): Promise<void> {
  const outcomes = new Map<string, "acknowledged" | "unknown" | "refused">();
  await everyWriter(async (writer, index) => {
    const key = `k/${writer}/${index}`;
    outcomes.set(key, await outcomeOf(store, [], [{ kind: "put", key, value: "1" }]));
  });
  store.faults = NO_FAULTS;
  const { entries, revision } = await store.list("k/");
  const present = new Set(entries.map((entry) => entry.key));
  for (const [key, outcome] of outcomes) {
    if (outcome === "acknowledged") assert(present.has(key), `${key} was acknowledged`);
    if (outcome === "refused") assert(!present.has(key), `${key} was refused`);
  }
  assert(entries.every((entry) => entry.version === 1));
  if (sharesRevisions) assert(revision <= present.size, `${revision} of ${present.size}`);
  else assert.equal(revision, present.size);
  assert.equal(eventsOf(await watched(store, "k/", 1, revision)).length, present.size);
  // Chance must have brought each of them, or this has shown nothing.
  assert.deepEqual([...new Set(outcomes.values())].sort(), ["acknowledged", "refused", "unknown"]);
}

/** An increment is repeated until it is known to be done: its key says so. */
async function countOnce({ store, clock }: World): Promise<void> {
  await everyWriter(async (writer, index) => {
    const done = `done/${writer}/${index}`;
    for (;;) {
      const state = await untilAnswered(clock, async () => ({
        done: (await store.get(done)).entry,
        counter: (await store.get("counter")).entry,
      }));
      if (state.done !== undefined) return;
      const value = String(Number(state.counter?.value ?? 0) + 1);
      const modRevision = state.counter?.modRevision ?? 0;
      const compare: Compare[] = [
        { key: "counter", target: "modRevision", op: "=", value: modRevision },
        { key: done, target: "modRevision", op: "=", value: 0 },
      ];
      const puts = [
        { kind: "put", key: "counter", value },
        { kind: "put", key: done, value: "1" },
      ] as const;
      await outcomeOf(store, compare, puts);
    }
  });
  store.faults = NO_FAULTS;
  assert.equal((await store.get("counter")).entry?.value, String(WRITERS * WRITES));
}

/** A `ClusterState` behind broken watches and early compaction, compared with the store at the end. */
async function converge({ store, clock, prng }: World): Promise<void> {
  const driver = new Driver({ clock, log: silentLogger, prng: prng.fork() });
  const state = new ClusterState({ store, driver, log: silentLogger });
  await state.start();
  await everyWriter(async (writer, index) => {
    const key = keys.claim({ kind: "subnet", subnet: `10.64.${prng.int(0, 9)}.0/24` });
    const value = encode({ stack: `default/main/s${writer * 100 + index}` });
    const operation: Operation = prng.chance(0.3)
      ? { kind: "delete", key }
      : { kind: "put", key, value };
    await outcomeOf(store, [], [operation]);
  });
  store.faults = NO_FAULTS;
  const { entries, revision } = await store.list("");
  await state.waitFor(revision);
  const stored = entries.map(({ key, value }) => [key, value]);
  const shown = [...state.view.claims.all()].map(({ key, value }) => [key, encode(value)]);
  assert.deepEqual(shown.sort(), stored.sort());
  await state.stop();
}

async function everyWriter(write: (writer: number, index: number) => Promise<void>): Promise<void> {
  const run = async (_: unknown, writer: number) => {
    for (let index = 0; index < WRITES; index++) await write(writer, index);
  };
  await Promise.all(Array.from({ length: WRITERS }, run));
}

async function outcomeOf(
  store: Store,
  compare: readonly Compare[],
  operations: readonly Operation[],
): Promise<"acknowledged" | "unknown" | "refused"> {
  try {
    await store.txn({ compare, then: operations });
    return "acknowledged";
  } catch (error) {
    assert(error instanceof StoreError, String(error));
    return error.storeCode === "unknown-outcome" ? "unknown" : "refused";
  }
}

async function untilAnswered<T>(clock: ManualClock, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      assert(error instanceof StoreError, String(error));
      await sleep(clock, 1);
    }
  }
}
