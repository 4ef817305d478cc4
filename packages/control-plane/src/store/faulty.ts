/**
 * A store that misbehaves as stores over a network do, around any other: requests and replies are
 * delayed (so concurrent ones overtake each other), get lost with or without having been committed,
 * watches break, history is compacted early. For contract tests and the simulation.
 *
 * What it never does is what no store may do: change data, reorder one watch's events, acknowledge what
 * was not committed. All chance comes from its Prng and all time from its Clock: same seed, same faults.
 */

import { type Clock, type Prng, sleep } from "@berth/base";
import { StoreError, StoreOverloaded, StoreUnknownOutcome } from "./errors.ts";
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

/** Chances are from 0 to 1, for each call or batch. */
export interface StoreFaults {
  /** Each way of a call, and each batch of a watch, takes up to this long. */
  readonly latencyMsMax: number;
  /** A write is committed, but its writer is told that the outcome is unknown. */
  readonly lostReplyChance: number;
  /** A write is not committed, and its writer is told that the outcome is unknown. */
  readonly lostRequestChance: number;
  /** A call is refused with a known outcome: nothing was done. */
  readonly refusalChance: number;
  /** A watch ends with an error instead of its next batch. */
  readonly brokenWatchChance: number;
  /** After a write, everything older than a random recent revision is compacted. */
  readonly compactionChance: number;
}

export const NO_FAULTS: StoreFaults = {
  latencyMsMax: 0,
  lostReplyChance: 0,
  lostRequestChance: 0,
  refusalChance: 0,
  brokenWatchChance: 0,
  compactionChance: 0,
};

/** Compaction under faults leaves at most this much history: short, so that watches do fall behind. */
const HISTORY_KEPT_MAX = 20;

export class FaultyStore implements Store {
  /** May be changed at any time: a simulation ends its faults and looks for convergence. */
  faults: StoreFaults;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #prng: Prng;

  constructor(options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly prng: Prng;
    readonly faults?: Partial<StoreFaults>;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#prng = options.prng;
    this.faults = { ...NO_FAULTS, ...options.faults };
  }

  get epoch(): string {
    return this.#store.epoch;
  }

  get(key: string, options: GetOptions = {}): Promise<GetResult> {
    return this.#read(options, () => this.#store.get(key, options));
  }

  list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    return this.#read(options, () => this.#store.list(prefix, options));
  }

  txn(txn: Txn, options: CallOptions = {}): Promise<TxnResult> {
    return this.#write(options, () => this.#store.txn(txn));
  }

  async *watch(
    prefix: string,
    fromRevision: Revision,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    await this.#delay(signal);
    for await (const batch of this.#store.watch(prefix, fromRevision, signal)) {
      await this.#delay(signal);
      if (this.#prng.chance(this.faults.brokenWatchChance)) {
        throw new StoreError("io", "the watch's connection broke");
      }
      yield batch;
    }
  }

  requestProgress(): void {
    this.#store.requestProgress();
  }

  compact(revision: Revision): Promise<void> {
    return this.#read({}, () => this.#store.compact(revision));
  }

  grantLease(ttlMs: number): Promise<Lease> {
    return this.#write({}, () => this.#store.grantLease(ttlMs));
  }

  keepAlive(leaseId: LeaseId): Promise<Lease> {
    return this.#write({}, () => this.#store.keepAlive(leaseId));
  }

  revokeLease(leaseId: LeaseId): Promise<void> {
    return this.#write({}, () => this.#store.revokeLease(leaseId));
  }

  currentRevision(): Promise<Revision> {
    return this.#read({}, () => this.#store.currentRevision());
  }

  snapshot(path: string): Promise<void> {
    return this.#store.snapshot(path);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  /** Repeating it does no harm: it is delayed and refused, but never unknown. */
  async #read<T>(options: CallOptions, call: () => Promise<T>): Promise<T> {
    await this.#delay(options.signal);
    this.#maybeRefuse();
    const result = await call();
    await this.#delay(options.signal);
    return result;
  }

  async #write<T>(options: CallOptions, call: () => Promise<T>): Promise<T> {
    await this.#delay(options.signal);
    this.#maybeRefuse();
    if (this.#prng.chance(this.faults.lostRequestChance)) {
      await this.#delay(undefined);
      throw new StoreUnknownOutcome("the request was lost");
    }
    const result = await call();
    await this.#maybeCompact();
    await this.#delayReply(options.signal);
    if (this.#prng.chance(this.faults.lostReplyChance)) {
      throw new StoreUnknownOutcome("the reply was lost");
    }
    return result;
  }

  async #delay(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { latencyMsMax } = this.faults;
    if (latencyMsMax === 0) return;
    await sleep(this.#clock, this.#prng.float() * latencyMsMax, signal);
  }

  /** Whoever cancels a write under way cannot know what came of it. */
  async #delayReply(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#delay(signal);
    } catch (cause) {
      throw new StoreUnknownOutcome("it was cancelled under way", { cause });
    }
  }

  #maybeRefuse(): void {
    if (this.#prng.chance(this.faults.refusalChance)) {
      throw new StoreOverloaded("injected refusals", 1, 0);
    }
  }

  async #maybeCompact(): Promise<void> {
    if (!this.#prng.chance(this.faults.compactionChance)) return;
    const current = await this.#store.currentRevision();
    await this.#store.compact(Math.max(0, current - this.#prng.int(0, HISTORY_KEPT_MAX)));
  }
}
