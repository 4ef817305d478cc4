/**
 * What the contract suites need of an implementation under test, and small moves that all of them use.
 */

import type { TestContext } from "node:test";
import type { Operation, Store, TxnResult, WatchBatch, WatchEvent } from "./port.ts";

/** A fresh, empty store with time in the test's hands. */
export interface StoreSubject {
  readonly store: Store;
  /** Moves the store's clock and lets what is due happen. */
  readonly advance: (ms: number) => Promise<void>;
  /** How long a lease lasts at which the tests need not wait for long; a minute by default. */
  readonly leaseTtlMs?: number;
  /** Concurrent transactions may share a revision. */
  readonly sharesRevisions?: true;
  /** Closes the store and opens it again, when it outlives its process; ends with the new one. */
  readonly reopen?: () => Promise<Store>;
}

/** Makes a subject that is cleaned up after the test. */
export type MakeSubject = (context: TestContext) => Promise<StoreSubject>;

export function put(store: Store, key: string, value: string): Promise<TxnResult> {
  return change(store, { kind: "put", key, value });
}

/** Does `operations` unconditionally, in one revision. */
export function change(store: Store, ...operations: readonly Operation[]): Promise<TxnResult> {
  return store.txn({ compare: [], then: operations });
}

/** All batches from `fromRevision` until the watch has reached `upTo`. */
export async function watched(
  store: Store,
  prefix: string,
  fromRevision: number,
  upTo: number,
): Promise<WatchBatch[]> {
  const batches: WatchBatch[] = [];
  if (upTo < fromRevision) return batches;
  const ended = new AbortController();
  for await (const batch of withProgress(store, store.watch(prefix, fromRevision, ended.signal))) {
    batches.push(batch);
    if (batch.revision >= upTo) break;
  }
  ended.abort();
  return batches;
}

/** The events of `batches`, those of one revision by key: their order within it is not promised. */
export function eventsOf(batches: readonly WatchBatch[]): WatchEvent[] {
  const events = batches.flatMap((batch) => batch.events);
  return events.sort((a, b) => a.revision - b.revision || (a.key < b.key ? -1 : 1));
}

/** Asks for progress each time that it waits: what does not concern the prefix is reported, too. */
async function* withProgress(
  store: Store,
  watch: AsyncIterable<WatchBatch>,
): AsyncGenerator<WatchBatch> {
  const iterator = watch[Symbol.asyncIterator]();
  for (;;) {
    const next = iterator.next();
    store.requestProgress();
    const { done, value } = await next;
    if (done === true) return;
    yield value;
  }
}
