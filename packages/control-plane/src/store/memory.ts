/**
 * The store in memory: for tests and simulation. Deterministic, no I/O; time comes from its clock.
 *
 * History is kept until it is compacted. The state at an older revision is the current one with the
 * events since then undone. Cost: a transaction O(operations × log n) plus O(n) moves of memory when a
 * key is new; a list at an older revision O(events since).
 */

import type { Clock } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import { applyTxn, removeEntries, type Table, takePage } from "./apply-txn.ts";
import { StoreClosed, StoreCompacted, StoreFutureRevision, StoreLeaseNotFound } from "./errors.ts";
import { bytesOfEvents, type RevisionEvents } from "./event-ring.ts";
import { LeaseTimers } from "./lease-timers.ts";
import { checkKey, checkLeaseTtl, checkPrefix, checkTxn, pageLimit } from "./limits.ts";
import { MemoryTable } from "./memory-table.ts";
import type {
  CallOptions,
  GetOptions,
  GetResult,
  Lease,
  LeaseId,
  ListOptions,
  ListResult,
  Revision,
  Store,
  StoredEntry,
  Txn,
  TxnResult,
  WatchBatch,
  WatchEvent,
} from "./port.ts";
import { WatchHub } from "./watch-hub.ts";

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** The life of the store; `memory` by default. */
  readonly epoch?: string;
  /** Where `snapshot` puts its JSON text; without it, `snapshot` is refused. */
  readonly writeSnapshot?: (path: string, json: string) => Promise<void>;
}

export class MemoryStore implements Store {
  readonly epoch: string;
  readonly #table = new MemoryTable();
  /** All changes after the compacted revision; contiguous. */
  #history: RevisionEvents[] = [];
  readonly #hub: WatchHub;
  readonly #leases: LeaseTimers;
  readonly #writeSnapshot: MemoryStoreOptions["writeSnapshot"];
  #leaseCount = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    this.epoch = options.epoch ?? "memory";
    this.#writeSnapshot = options.writeSnapshot;
    this.#leases = new LeaseTimers(options.clock, (leaseId) => this.#endLease(leaseId));
    this.#hub = new WatchHub({
      clock: options.clock,
      revision: 0,
      compactRevision: 0,
      readHistory: async (from, revisionsMax) => this.#readHistory(from, revisionsMax),
    });
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    this.#begin(options);
    checkKey(key);
    const revision = this.#hub.revision;
    const { minRevision = 0 } = options;
    if (minRevision > revision) throw new StoreFutureRevision(minRevision, revision);
    return { entry: this.#table.read(key), revision };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    this.#begin(options);
    checkPrefix(prefix);
    const limit = pageLimit(options.limit);
    const current = this.#hub.revision;
    const revision = options.atRevision ?? current;
    if (revision > current) throw new StoreFutureRevision(revision, current);
    if (revision < this.#hub.compactRevision) {
      throw new StoreCompacted(revision, this.#hub.compactRevision);
    }
    const table = revision === current ? this.#table : this.#tableAt(revision);
    return { ...takePage(table.scan(prefix, options.after), limit), revision };
  }

  async txn(txn: Txn, options: CallOptions = {}): Promise<TxnResult> {
    this.#begin(options);
    checkTxn(txn);
    const { result, events } = applyTxn(this.#table, txn, this.#hub.revision);
    this.#commit(events);
    return result;
  }

  watch(prefix: string, fromRevision: Revision, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return this.#hub.watch(prefix, fromRevision, signal);
  }

  requestProgress(): void {
    this.#hub.requestProgress();
  }

  async compact(revision: Revision): Promise<void> {
    this.#begin({});
    const current = this.#hub.revision;
    if (revision > current) throw new StoreFutureRevision(revision, current);
    this.#hub.compacted(revision);
    const first = this.#history[0]?.revision ?? 0;
    if (revision >= first) this.#history = this.#history.slice(revision - first + 1);
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    this.#begin({});
    checkLeaseTtl(ttlMs);
    const lease = { leaseId: ++this.#leaseCount, ttlMs };
    this.#table.leases.add(lease.leaseId);
    this.#leases.start(lease);
    return lease;
  }

  async keepAlive(leaseId: LeaseId): Promise<Lease> {
    this.#begin({});
    const lease = this.#leases.renew(leaseId);
    if (lease === undefined) throw new StoreLeaseNotFound(leaseId);
    return lease;
  }

  async revokeLease(leaseId: LeaseId): Promise<void> {
    this.#begin({});
    this.#leases.forget(leaseId);
    this.#endLease(leaseId);
  }

  async currentRevision(): Promise<Revision> {
    this.#begin({});
    return this.#hub.revision;
  }

  async snapshot(path: string): Promise<void> {
    this.#begin({});
    if (this.#writeSnapshot === undefined) {
      throw new ProtocolError("not_implemented", "a store in memory has nowhere to write");
    }
    await this.#writeSnapshot(path, this.exportState());
  }

  /** The current entries as JSON text, in order of key. */
  exportState(): string {
    const entries: StoredEntry[] = [...this.#table.scan("", undefined)];
    return JSON.stringify({ revision: this.#hub.revision, entries });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#leases.clear();
    this.#hub.close();
  }

  #begin(options: { readonly signal?: AbortSignal }): void {
    options.signal?.throwIfAborted();
    if (this.#closed) throw new StoreClosed();
  }

  #commit(events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    const change = { revision: this.#hub.revision + 1, events, bytes: bytesOfEvents(events) };
    this.#history.push(change);
    this.#hub.publish([change]);
  }

  #endLease(leaseId: LeaseId): void {
    if (!this.#table.leases.delete(leaseId)) return;
    const entries = this.#table.entriesOfLease(leaseId);
    this.#commit(removeEntries(this.#table, entries, this.#hub.revision));
  }

  #readHistory(from: Revision, revisionsMax: number): readonly RevisionEvents[] {
    const first = this.#history[0]?.revision;
    if (first === undefined || from < first) {
      throw new StoreCompacted(from, this.#hub.compactRevision);
    }
    return this.#history.slice(from - first, from - first + revisionsMax);
  }

  /** The state as it was: the current one with later events undone, the newest first. */
  #tableAt(revision: Revision): Table {
    const table = this.#table.copy();
    for (let index = this.#history.length - 1; index >= 0; index--) {
      const change = this.#history[index];
      if (change === undefined || change.revision <= revision) break;
      for (const event of change.events.toReversed()) table.restore(event.key, event.previous);
    }
    return table;
  }
}
