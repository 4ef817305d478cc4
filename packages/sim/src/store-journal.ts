/**
 * The store with a journal: every commit, in order, as checkers see it. It stands below all faults, so the
 * journal is what was really committed, whatever the servers were told.
 *
 * The journal keeps its own copy of the contents, made from the commits alone: `disagreement` compares it
 * with what the store says it holds. Cost: O(operations) a commit.
 */

import type { MemoryStore } from "@berth/control-plane/store/memory";
import type {
  CallOptions,
  GetOptions,
  GetResult,
  Lease,
  LeaseId,
  ListOptions,
  ListResult,
  Operation,
  Revision,
  Store,
  StoredEntry,
  Txn,
  TxnResult,
  WatchBatch,
} from "@berth/control-plane/store/port";
import { type Kind, parseKey } from "@berth/protocol";

/** A value as text, decoded at most once: many look at it. What is decoded must not be changed. */
export class StoredValue {
  readonly text: string;
  #decoded: unknown;

  constructor(text: string) {
    this.text = text;
  }

  get decoded(): unknown {
    this.#decoded ??= JSON.parse(this.text);
    return this.#decoded;
  }
}

/** One key's change by a commit; `value` or `previous` is absent when the key is not there. */
export class Written {
  readonly key: string;
  readonly kind: Kind | undefined;
  readonly revision: Revision;
  readonly value: StoredValue | undefined;
  readonly previous: StoredValue | undefined;

  constructor(
    change: Readonly<Record<"value" | "previous", StoredValue | undefined>> & {
      readonly key: string;
      readonly revision: Revision;
    },
  ) {
    this.key = change.key;
    this.kind = parseKey(change.key)?.kind;
    this.revision = change.revision;
    this.value = change.value;
    this.previous = change.previous;
  }

  /** What is there now. `T` is the type of the kind, as its writer was made to keep it. */
  now<T>(): T | undefined {
    return this.value?.decoded as T | undefined;
  }

  /** What was there before. */
  before<T>(): T | undefined {
    return this.previous?.decoded as T | undefined;
  }
}

export class StoreJournal implements Store {
  /** What the commits made, by key. */
  readonly contents = new Map<string, StoredValue>();
  readonly #store: MemoryStore;
  readonly #listener: (written: readonly Written[]) => void;

  constructor(store: MemoryStore, listener: (written: readonly Written[]) => void) {
    this.#store = store;
    this.#listener = listener;
  }

  get epoch(): string {
    return this.#store.epoch;
  }

  async txn(txn: Txn, options?: CallOptions): Promise<TxnResult> {
    const result = await this.#store.txn(txn, options);
    const done = result.succeeded ? txn.then : (txn.otherwise ?? []);
    const written = done.flatMap((operation) => this.#apply(operation, result.revision));
    if (written.length > 0) this.#listener(written);
    return result;
  }

  /** A key at which the store and its commits do not agree; `undefined` when all is well. */
  disagreement(): string | undefined {
    const { entries } = JSON.parse(this.#store.exportState()) as { entries: StoredEntry[] };
    for (const { key, value } of entries) if (this.contents.get(key)?.text !== value) return key;
    if (entries.length === this.contents.size) return undefined;
    const held = new Set(entries.map(({ key }) => key));
    return [...this.contents.keys()].find((key) => !held.has(key));
  }

  get(key: string, options?: GetOptions): Promise<GetResult> {
    return this.#store.get(key, options);
  }

  list(prefix: string, options?: ListOptions): Promise<ListResult> {
    return this.#store.list(prefix, options);
  }

  watch(prefix: string, fromRevision: Revision, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return this.#store.watch(prefix, fromRevision, signal);
  }

  requestProgress(): void {
    this.#store.requestProgress();
  }

  compact(revision: Revision): Promise<void> {
    return this.#store.compact(revision);
  }

  grantLease(ttlMs: number): Promise<Lease> {
    return this.#store.grantLease(ttlMs);
  }

  keepAlive(leaseId: LeaseId): Promise<Lease> {
    return this.#store.keepAlive(leaseId);
  }

  revokeLease(leaseId: LeaseId): Promise<void> {
    return this.#store.revokeLease(leaseId);
  }

  currentRevision(): Promise<Revision> {
    return this.#store.currentRevision();
  }

  snapshot(path: string): Promise<void> {
    return this.#store.snapshot(path);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #apply(operation: Operation, revision: Revision): Written[] {
    switch (operation.kind) {
      case "put": {
        const { key } = operation;
        const previous = this.contents.get(key);
        const value = new StoredValue(operation.value);
        this.contents.set(key, value);
        return [new Written({ key, revision, value, previous })];
      }
      case "delete":
        return this.#delete(operation.key, revision);
      case "delete-prefix":
        return [...this.contents.keys()]
          .filter((key) => key.startsWith(operation.prefix))
          .flatMap((key) => this.#delete(key, revision));
      case "get":
      case "list":
        return [];
    }
  }

  #delete(key: string, revision: Revision): Written[] {
    const previous = this.contents.get(key);
    if (!this.contents.delete(key)) return [];
    return [new Written({ key, revision, value: undefined, previous })];
  }
}
