/**
 * The store on SQLite: one machine's state in one file, written by a worker thread.
 *
 * This side checks what callers hand in, queues it, and serves watches from the events that come back with
 * each batch. Order of a reply: events are published first, then the writers are told, so whoever knows of
 * a revision finds it in the watches' reach.
 *
 * Durability: a write is acknowledged after its commit's fsync (WAL, synchronous=FULL). When the worker
 * dies, writes under way end `StoreUnknownOutcome` and the store is closed: it must be opened again.
 * Design page: docs/design/store.md.
 */

import { Worker } from "node:worker_threads";
import { assert, assertNever, type Clock, GIB, type Logger } from "@berth/base";
import {
  StoreClosed,
  type StoreError,
  StoreFutureRevision,
  StoreLeaseNotFound,
  StoreUnknownOutcome,
} from "./errors.ts";
import { LeaseTimers } from "./lease-timers.ts";
import { checkKey, checkLeaseTtl, checkPrefix, checkTxn, pageLimit } from "./limits.ts";
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
  Txn,
  TxnResult,
  WatchBatch,
} from "./port.ts";
import { RequestQueue, writes } from "./request-queue.ts";
import { HistoryEvents } from "./sqlite-history.ts";
import {
  type FromWorker,
  type OpenedDatabase,
  type StoreCallKind,
  type StoreCalls,
  type StoreRequest,
  storeErrorOf,
  type ToWorker,
  type WorkerOptions,
} from "./sqlite-messages.ts";
import { WatchHub } from "./watch-hub.ts";

/** Revisions that a watch may lag: a quarter of an hour at 50 writes a second, 100 MB at 1 KB each. */
export const HISTORY_REVISIONS_MAX = 50_000;
/** The file's size at most: etcd's own advice, and far more than one machine's state. */
export const DATABASE_BYTES_MAX = 8 * GIB;
/** An expired lease whose entries could not be deleted (no space) is tried again after this long. */
const LEASE_RETRY_MS = 1_000;

export interface SqliteStoreOptions {
  /** The database file; its directory exists. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** The worker's program: another file when bundled. */
  readonly workerUrl?: URL;
  /** `HISTORY_REVISIONS_MAX` by default. */
  readonly historyRevisionsMax?: number;
  /** `DATABASE_BYTES_MAX` by default. */
  readonly databaseBytesMax?: number;
  /** Called once when the store fails by itself; it is closed then. */
  readonly onFailure?: (error: StoreError) => void;
}

/**
 * Opens the store, making the file if there is none. Rejects with a `StoreError` whose `storeCode` is
 * `locked` (details: pid, host, since), `corrupt`, `newer-schema`, `disk-full` or `io`.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const worker = startWorker(options);
  const opened = await openedBy(worker);
  return new SqliteStore(worker, opened, options);
}

class SqliteStore implements Store {
  readonly epoch: string;
  readonly #worker: Worker;
  readonly #queue = new RequestQueue();
  readonly #hub: WatchHub;
  readonly #leases: LeaseTimers;
  readonly #log: Logger;
  readonly #onFailure: SqliteStoreOptions["onFailure"];
  readonly #exited: Promise<void>;
  #flushScheduled = false;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;
  #failure: StoreError | undefined;

  constructor(worker: Worker, opened: OpenedDatabase, options: SqliteStoreOptions) {
    this.epoch = opened.epoch;
    this.#worker = worker;
    this.#log = options.log;
    this.#onFailure = options.onFailure;
    this.#leases = new LeaseTimers(options.clock, (leaseId) => this.#expireLease(leaseId));
    for (const lease of opened.leases) this.#leases.start(lease);
    this.#hub = new WatchHub({
      clock: options.clock,
      revision: opened.revision,
      compactRevision: opened.compactRevision,
      readHistory: async (from, revisionsMax) => {
        const rows = await this.#call("history", { from, revisionsMax });
        return rows.map((row) => new HistoryEvents(row));
      },
    });
    this.#exited = new Promise((resolve) => worker.once("exit", () => resolve()));
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (error) => this.#fail(workerDied(error)));
    worker.on("exit", () => this.#fail(workerDied(undefined)));
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    checkKey(key);
    const result = await this.#call("get", { key }, 0, options.signal);
    const { minRevision = 0 } = options;
    if (minRevision > result.revision) throw new StoreFutureRevision(minRevision, result.revision);
    return result;
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    checkPrefix(prefix);
    const { after, atRevision, signal } = options;
    const ask = {
      prefix,
      limit: pageLimit(options.limit),
      ...(after === undefined ? {} : { after }),
      ...(atRevision === undefined ? {} : { atRevision }),
    };
    return this.#call("list", ask, 0, signal);
  }

  async txn(txn: Txn, options: CallOptions = {}): Promise<TxnResult> {
    return this.#call("txn", { txn }, checkTxn(txn), options.signal);
  }

  watch(prefix: string, fromRevision: Revision, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return this.#hub.watch(prefix, fromRevision, signal);
  }

  requestProgress(): void {
    this.#hub.requestProgress();
  }

  async compact(revision: Revision): Promise<void> {
    await this.#call("compact", { revision });
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkLeaseTtl(ttlMs);
    const lease = await this.#call("grant", { ttlMs });
    if (this.#closing === undefined) this.#leases.start(lease);
    return lease;
  }

  async keepAlive(leaseId: LeaseId): Promise<Lease> {
    this.#throwIfClosed();
    const lease = this.#leases.renew(leaseId);
    if (lease === undefined) throw new StoreLeaseNotFound(leaseId);
    return lease;
  }

  async revokeLease(leaseId: LeaseId): Promise<void> {
    await this.#call("revoke", { leaseId });
    this.#leases.forget(leaseId);
  }

  async currentRevision(): Promise<Revision> {
    this.#throwIfClosed();
    return this.#hub.revision;
  }

  async snapshot(path: string): Promise<void> {
    await this.#call("snapshot", { path });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#leases.clear();
    this.#hub.close(this.#failure);
    if (this.#failure === undefined && !this.#queue.empty) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    if (this.#failure === undefined) this.#post({ kind: "close" });
    await this.#exited;
  }

  async #call<Kind extends StoreCallKind>(
    kind: Kind,
    ask: StoreCalls[Kind]["ask"],
    bytes = 0,
    signal?: AbortSignal,
  ): Promise<StoreCalls[Kind]["answer"]> {
    this.#throwIfClosed();
    return new Promise((resolve, reject) => {
      // The worker answers each kind with its own answer: the one place where the pairing is asserted.
      const request = { kind, ...ask } as unknown as StoreRequest;
      this.#queue.add({
        request,
        bytes,
        signal,
        resolve: resolve as (answer: unknown) => void,
        reject,
      });
      this.#scheduleFlush();
    });
  }

  #throwIfClosed(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) throw new StoreClosed();
  }

  /** At the end of this turn of the event loop, so that all who write in it share one batch. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#queue.busy) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#queue.busy || this.#failure !== undefined) return;
    const requests = this.#queue.take();
    if (requests.length > 0) this.#post({ kind: "batch", requests });
    else this.#drained?.();
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "batch":
        this.#settle(message);
        break;
      case "failed":
        this.#fail(storeErrorOf(message.error));
        break;
      case "opened":
      case "closed":
        break;
      default:
        assertNever(message, "message of the store's worker");
    }
  }

  #settle(message: FromWorker & { kind: "batch" }): void {
    this.#hub.publish(message.changes.map((row) => new HistoryEvents(row)));
    this.#hub.compacted(message.compactRevision);
    this.#queue.settle(({ resolve, reject }, index) => {
      const reply = message.replies[index];
      assert(reply !== undefined, "the worker replies to each request");
      if (reply.ok) resolve(reply.answer);
      else reject(storeErrorOf(reply.error));
    });
    // Whoever was just told may write again in this turn: they go into the next batch together.
    this.#scheduleFlush();
  }

  #expireLease(leaseId: LeaseId): void {
    this.#call("revoke", { leaseId }).catch((error: unknown) => {
      if (this.#closing !== undefined || this.#failure !== undefined) return;
      this.#log.warn("an expired lease could not be ended, trying again", { leaseId, error });
      this.#leases.start({ leaseId, ttlMs: LEASE_RETRY_MS });
    });
  }

  #fail(error: StoreError): void {
    if (this.#failure !== undefined) return;
    // The worker's exit after an orderly close is no failure; nothing waits then.
    if (this.#closing !== undefined && this.#queue.empty) return;
    const failure = new StoreClosed(`the store has failed: ${error.message}`, { cause: error });
    const unknown = new StoreUnknownOutcome(error.message, { cause: error });
    this.#failure = failure;
    this.#leases.clear();
    this.#hub.close(failure);
    this.#queue.fail({
      sent: (request) => (writes(request) ? unknown : failure),
      waiting: failure,
    });
    this.#drained?.();
    this.#onFailure?.(error);
  }
}

function startWorker(options: SqliteStoreOptions): Worker {
  const workerData: WorkerOptions = {
    path: options.path,
    historyRevisionsMax: options.historyRevisionsMax ?? HISTORY_REVISIONS_MAX,
    databaseBytesMax: options.databaseBytesMax ?? DATABASE_BYTES_MAX,
  };
  const url = options.workerUrl ?? new URL("./sqlite-worker.ts", import.meta.url);
  return new Worker(url, { name: "store", workerData });
}

function openedBy(worker: Worker): Promise<OpenedDatabase> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromWorker) => {
      settle();
      if (message.kind === "opened") resolve(message.opened);
      else reject(message.kind === "failed" ? storeErrorOf(message.error) : workerDied(undefined));
    };
    const onEnd = (cause: unknown) => {
      settle();
      reject(workerDied(cause));
    };
    // Each by name: a Worker keeps listeners of its own, without which it delivers nothing.
    const settle = () => {
      worker.off("message", onMessage).off("error", onEnd).off("exit", onEnd);
    };
    worker.on("message", onMessage).on("error", onEnd).on("exit", onEnd);
  });
}

function workerDied(cause: unknown): StoreError {
  return new StoreClosed("the store's worker thread ended", { cause });
}
