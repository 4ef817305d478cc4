/** The store as one life of a server reaches it: whatever was under way at its death has no end. */

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
} from "@berth/control-plane/store/port";
import type { Life } from "./life.ts";

export class StoreOfLife implements Store {
  readonly #store: Store;
  readonly #life: Life;

  constructor(store: Store, life: Life) {
    this.#store = store;
    this.#life = life;
  }

  get epoch(): string {
    return this.#store.epoch;
  }

  get(key: string, options?: GetOptions): Promise<GetResult> {
    return this.#life.only(() => this.#store.get(key, options));
  }

  list(prefix: string, options?: ListOptions): Promise<ListResult> {
    return this.#life.only(() => this.#store.list(prefix, options));
  }

  txn(txn: Txn, options?: CallOptions): Promise<TxnResult> {
    return this.#life.only(() => this.#store.txn(txn, options));
  }

  watch(prefix: string, fromRevision: Revision, signal: AbortSignal): AsyncIterable<WatchBatch> {
    const either = AbortSignal.any([signal, this.#life.death]);
    return this.#life.items(this.#store.watch(prefix, fromRevision, either));
  }

  requestProgress(): void {
    if (this.#life.alive) this.#store.requestProgress();
  }

  compact(revision: Revision): Promise<void> {
    return this.#life.only(() => this.#store.compact(revision));
  }

  grantLease(ttlMs: number): Promise<Lease> {
    return this.#life.only(() => this.#store.grantLease(ttlMs));
  }

  keepAlive(leaseId: LeaseId): Promise<Lease> {
    return this.#life.only(() => this.#store.keepAlive(leaseId));
  }

  revokeLease(leaseId: LeaseId): Promise<void> {
    return this.#life.only(() => this.#store.revokeLease(leaseId));
  }

  currentRevision(): Promise<Revision> {
    return this.#life.only(() => this.#store.currentRevision());
  }

  snapshot(path: string): Promise<void> {
    return this.#life.only(() => this.#store.snapshot(path));
  }

  /** The store is another process's affair: it outlives the server. */
  async close(): Promise<void> {}
}
