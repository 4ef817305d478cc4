/**
 * The part of the store's contract about watches and compaction: no gap, no doubling, from wherever one
 * begins, whoever writes meanwhile.
 */

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { change, eventsOf, put, type StoreSubject, watched } from "./contract-subject.ts";
import { RING_BYTES_MAX } from "./event-ring.ts";
import type { Store, WatchBatch } from "./port.ts";
import { PROGRESS_DELAY_MS, WATCH_BATCH_EVENTS_MAX } from "./watch-hub.ts";

export type ContractTest = (
  title: string,
  run: (subject: StoreSubject, context: TestContext) => Promise<void>,
) => void;

export function watchContract(it: ContractTest): void {
  eventContract(it);
  resumeContract(it);
  endContract(it);
  concurrencyContract(it);
}

function eventContract(it: ContractTest): void {
  it("a watch tells what was before and after, in whole revisions", async ({ store }) => {
    await put(store, "a/1", "1");
    await change(
      store,
      { kind: "put", key: "a/1", value: "2" },
      { kind: "put", key: "b", value: "1" },
    );
    await change(store, { kind: "delete-prefix", prefix: "a/" });
    const first = { key: "a/1", value: "1", createRevision: 1, modRevision: 1, version: 1 };
    const second = { key: "a/1", value: "2", createRevision: 1, modRevision: 2, version: 2 };
    assert.deepEqual(eventsOf(await watched(store, "a/", 1, 3)), [
      { type: "put", key: "a/1", revision: 1, entry: first },
      { type: "put", key: "a/1", revision: 2, entry: second, previous: first },
      { type: "delete", key: "a/1", revision: 3, previous: second },
    ]);
  });

  it("a watch that waits is woken by what concerns it", async ({ store }) => {
    const watch = store.watch("a/", 1, new AbortController().signal)[Symbol.asyncIterator]();
    const next = watch.next();
    await put(store, "b", "1");
    await put(store, "a/1", "1");
    const { value } = await next;
    const keys = (value as WatchBatch | undefined)?.events.map((event) => event.key);
    assert.deepEqual(keys, ["a/1"]);
    await watch.return?.(undefined);
  });

  it("an idle watch tells its position after a while, or when it is asked for", async (subject) => {
    const { store, advance } = subject;
    const watch = store.watch("a/", 1, new AbortController().signal)[Symbol.asyncIterator]();
    const asked = watch.next();
    await put(store, "b", "1");
    store.requestProgress();
    assert.deepEqual((await asked).value, { revision: 1, events: [] });
    const unasked = watch.next();
    await put(store, "b", "2");
    await advance(PROGRESS_DELAY_MS * 2);
    assert.deepEqual((await unasked).value, { revision: 2, events: [] });
    await watch.return?.(undefined);
  });
}

function resumeContract(it: ContractTest): void {
  it("from every revision, a watch shows exactly the rest", async ({ store, reopen }) => {
    for (let index = 0; index < 30; index++) await put(store, `k/${index % 7}`, String(index));
    const all = eventsOf(await watched(store, "k/", 1, 30));
    assert.equal(all.length, 30);
    // After opening again nothing is in memory: the same must come from the history.
    for await (const opened of lives(store, reopen)) {
      for (let from = 1; from <= 31; from++) {
        const rest = eventsOf(await watched(opened, "k/", from, 30));
        assert.deepEqual(rest, all.slice(from - 1));
      }
    }
  });

  it("a watch that begins before what is kept in memory has no seam", async ({ store }) => {
    const perRevision = 100;
    const filler = "x".repeat(1_000);
    // Each event is held with the value before, so this is about three times what fits.
    const revisions = Math.ceil((RING_BYTES_MAX * 1.5) / (perRevision * filler.length));
    for (let revision = 0; revision < revisions; revision++) {
      const puts = Array.from({ length: perRevision }, (_, index) => {
        return {
          kind: "put",
          key: `k/${index}`,
          value: JSON.stringify({ revision, filler }),
        } as const;
      });
      await change(store, ...puts);
    }
    const batches = await watched(store, "k/", 1, revisions);
    const events = batches.flatMap((batch) => batch.events);
    assert.deepEqual(
      events.map((event) => event.revision),
      Array.from({ length: events.length }, (_, index) => Math.floor(index / perRevision) + 1),
    );
    assert.equal(events.length, revisions * perRevision);
    assert(batches.every((batch) => batch.events.length <= WATCH_BATCH_EVENTS_MAX * 2));
  });

  it("what is compacted is refused, what comes after is complete", async ({ store, reopen }) => {
    for (let index = 1; index <= 10; index++) await put(store, "a", String(index));
    await store.compact(6);
    await store.compact(4);
    await assert.rejects(store.compact(11), { storeCode: "future-revision" });
    for await (const opened of lives(store, reopen)) {
      const refusal = { storeCode: "compacted", code: "position_gone", compactRevision: 6 };
      await assert.rejects(watched(opened, "", 6, 10), refusal);
      const events = eventsOf(await watched(opened, "", 7, 10));
      assert.deepEqual(
        events.map((event) => event.revision),
        [7, 8, 9, 10],
      );
    }
  });
}

function endContract(it: ContractTest): void {
  it("a watch from the future is refused: it is of another life", async ({ store }) => {
    await put(store, "a", "1");
    await assert.rejects(watched(store, "", 3, 5), { storeCode: "future-revision" });
  });

  it("a watch ends with the reason of its signal", async ({ store }) => {
    const ended = new AbortController();
    const watch = store.watch("", 1, ended.signal)[Symbol.asyncIterator]();
    const next = assert.rejects(Promise.resolve(watch.next()), { message: "enough" });
    await turn();
    ended.abort(new RangeError("enough"));
    await next;
    assert.deepEqual(await watch.next(), { done: true, value: undefined });
  });

  it("a slow watch is told when what it needs is compacted", async ({ store }) => {
    const watch = store.watch("", 1, new AbortController().signal)[Symbol.asyncIterator]();
    await put(store, "a", "1");
    assert.equal((await watch.next()).value?.revision, 1);
    for (const value of ["2", "3", "4"]) await put(store, "a", value);
    await store.compact(3);
    await assert.rejects(Promise.resolve(watch.next()), { storeCode: "compacted" });
  });
}

function concurrencyContract(it: ContractTest): void {
  it("watches that begin while others write miss nothing and double nothing", async (subject) => {
    const { store, sharesRevisions } = subject;
    const total = 200;
    const watches: Promise<WatchBatch[]>[] = [];
    const starts: number[] = [];
    const write = async (writer: number) => {
      for (let index = 0; index < total / 4; index++) {
        await put(store, `k/${writer}/${index % 5}`, String(index));
        if (index % 10 !== writer) continue;
        const from = (await store.currentRevision()) + 1;
        starts.push(from);
        watches.push(slowly(store, from));
      }
    };
    await Promise.all([0, 1, 2, 3].map(write));
    const { revision } = await put(store, LAST_KEY, "1");
    const all = eventsOf(await watched(store, "k/", 1, revision));
    assert.equal(all.length, total + 1);
    if (!sharesRevisions) assert.equal(revision, total + 1);
    for (const [index, batches] of (await Promise.all(watches)).entries()) {
      const from = starts[index] ?? 0;
      assert.deepEqual(
        eventsOf(batches),
        all.filter((event) => event.revision >= from),
      );
      const revisions = batches.map((batch) => batch.revision);
      assert.deepEqual(
        revisions,
        [...new Set(revisions)].sort((a, b) => a - b),
      );
    }
  });
}

/** Written when all else is: whoever has seen it has seen everything. */
const LAST_KEY = "k/last";

/** The store as it is and, where it can be, opened again. */
async function* lives(store: Store, reopen: StoreSubject["reopen"]): AsyncGenerator<Store> {
  yield store;
  if (reopen !== undefined) yield await reopen();
}

/** A consumer that takes its time between batches. */
async function slowly(store: Store, from: number): Promise<WatchBatch[]> {
  const batches: WatchBatch[] = [];
  const ended = new AbortController();
  for await (const batch of store.watch("k/", from, ended.signal)) {
    batches.push(batch);
    if (batch.events.some((event) => event.key === LAST_KEY)) break;
    for (let turns = 0; turns < batches.length % 3; turns++) await turn();
  }
  return batches;
}
