/** The cluster in memory: what is in the store is in the tables, without a gap, also after compaction. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import { keys, type Scale } from "@berth/protocol";
import { MemoryStore } from "../store/memory.ts";
import type { Operation } from "../store/port.ts";
import { type Change, ClusterState } from "./cluster-state.ts";
import { encode } from "./decode.ts";

const SCOPE = { project: "default", environment: "main", stack: "shop" };

function scale(service: string, value: number): Scale {
  return { ...SCOPE, service, value, source: "user", fileValue: 1 };
}

function putScale(service: string, value: number): Operation {
  const key = keys.scale({ ...SCOPE, service });
  return { kind: "put", key, value: encode(scale(service, value)) };
}

function setUp() {
  const clock = new ManualClock();
  const store = new MemoryStore({ clock });
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const state = new ClusterState({ store, driver, log: silentLogger });
  return { clock, store, driver, state };
}

/** Lets promises settle and time pass until `done` holds. */
async function until(clock: ManualClock, done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !done(); turn++) {
    for (let tick = 0; tick < 20; tick++) await Promise.resolve();
    if (!done()) clock.advance(10);
  }
  assert.ok(done(), "what was waited for did not happen");
}

function words(changes: readonly Change[]): string[] {
  return changes.map((change) => `${change.entity === undefined ? "-" : "+"} ${change.key}`);
}

test("shows what the store has and what changes in it", async () => {
  const { clock, store, state } = setUp();
  await store.txn({ compare: [], then: [putScale("web", 2), putScale("db", 1)] });
  const seen: string[] = [];
  state.onChange((batch) => seen.push(...words(batch.changes)));
  let started = false;
  void state.start().then(() => {
    started = true;
  });
  await until(clock, () => started);
  assert.equal(state.view.scales.size, 2);
  const key = keys.scale({ ...SCOPE, service: "db" });
  await store.txn({ compare: [], then: [putScale("web", 3), { kind: "delete", key }] });
  await until(clock, () => state.revision === 2);
  assert.deepEqual(
    state.view.scales.by("stack", "default/main/shop").map((entity) => entity.value.value),
    [3],
  );
  assert.deepEqual(seen, [
    "+ default/main/scale/shop/db",
    "+ default/main/scale/shop/web",
    "+ default/main/scale/shop/web",
    "- default/main/scale/shop/db",
  ]);
});

test("lists again after compaction and tells the difference", async () => {
  const { clock, store, driver, state } = setUp();
  await store.txn({ compare: [], then: [putScale("web", 1), putScale("db", 1)] });
  let started = false;
  void state.start().then(() => {
    started = true;
  });
  await until(clock, () => started);
  await state.stop();
  const key = keys.scale({ ...SCOPE, service: "db" });
  await store.txn({ compare: [], then: [putScale("api", 1), { kind: "delete", key }] });
  await store.txn({ compare: [], then: [putScale("job", 1)] });
  await store.compact(3);
  const seen: string[] = [];
  state.onChange((batch) => seen.push(...words(batch.changes)));
  // The same state follows again, as after a long pause of the process.
  assert.deepEqual(driver.statuses(), []);
  state.start();
  await until(clock, () => state.revision === 3);
  assert.deepEqual(seen.sort(), [
    "+ default/main/scale/shop/api",
    "+ default/main/scale/shop/job",
    "- default/main/scale/shop/db",
  ]);
});

test("who waits for a revision is told when the tables show it", async () => {
  const { clock, store, state } = setUp();
  void state.start();
  const { revision } = await store.txn({ compare: [], then: [putScale("web", 7)] });
  let seen: number | undefined;
  void state.waitFor(revision).then(() => {
    seen = state.view.scales.all()[0]?.value.value;
  });
  await until(clock, () => seen !== undefined);
  assert.equal(seen, 7);
  const abort = new AbortController();
  const waiting = state.waitFor(revision + 1, abort.signal);
  abort.abort(new Error("no longer"));
  await assert.rejects(waiting, /no longer/);
});

test("audit and idempotency entries are skipped", async () => {
  const { clock, store, state } = setUp();
  const entries: Operation[] = ["a", "b"].map((id) => ({
    kind: "put",
    key: keys.audit(id),
    value: "no JSON, never read",
  }));
  await store.txn({ compare: [], then: [...entries, putScale("web", 1)] });
  void state.start();
  await until(clock, () => state.revision === 1);
  assert.equal(state.view.scales.size, 1);
});
