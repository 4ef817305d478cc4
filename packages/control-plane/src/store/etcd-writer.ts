/**
 * Sends transactions to etcd, many together. A proposal costs etcd milliseconds (a round trip and an fsync
 * on most members) and little more for a hundred transactions than for one, so what comes while some are
 * under way gathers and goes together, where `etcd-batch.ts` allows it.
 *
 * Invariants: whatever touches what an earlier one changes waits for its end, so transactions of one key
 * are done in the order in which they came; each accepted one is settled exactly once; bounded by the same
 * limits as SQLite's queue. Cost: O(its keys) a transaction, plus the waiting ones that are held back.
 */

import { assert } from "@berth/base";
import { StoreLeaseNotFound, StoreOverloaded, StoreUnknownOutcome } from "./errors.ts";
import { ChangedKeys, type Footprint, fitsBatch, footprintOf } from "./etcd-batch.ts";
import type { EtcdClient } from "./etcd-client.ts";
import { isLeaseNotFound } from "./etcd-failures.ts";
import type { EtcdKeyspace } from "./etcd-keyspace.ts";
import {
  decodeTxn,
  type EtcdTxn,
  type EtcdTxnAnswer,
  encodeTxn,
  METHODS,
} from "./etcd-messages.ts";
import type { Txn, TxnResult } from "./port.ts";
import { QUEUE_BYTES_MAX, QUEUE_REQUESTS_MAX } from "./request-queue.ts";

/** Batches under way at a time. One leaves etcd idle while its answer travels; many make batches small. */
export const BATCHES_UNDER_WAY_MAX = 4;
/** What encoding adds to each operation, about. */
const OPERATION_BYTES = 64;
/** How far a look for what may go now reaches past transactions that must wait. */
const LOOK_AHEAD_MAX = 1_000;

interface Pending {
  readonly txn: Txn;
  readonly footprint: Footprint;
  readonly bytes: number;
  readonly resolve: (result: TxnResult) => void;
  readonly reject: (error: unknown) => void;
  state: "waiting" | "sent" | "settled";
  readonly signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
}

export class EtcdWriter {
  readonly #client: EtcdClient;
  readonly #keyspace: EtcdKeyspace;
  readonly #changing = new ChangedKeys();
  #waiting: Pending[] = [];
  #waitingBytes = 0;
  #underWay = 0;
  #flushScheduled = false;
  #drained: (() => void) | undefined;

  constructor(client: EtcdClient, keyspace: EtcdKeyspace) {
    this.#client = client;
    this.#keyspace = keyspace;
  }

  /** `bytes` of keys and values, from `checkTxn`. */
  write(txn: Txn, bytes: number, signal: AbortSignal | undefined): Promise<TxnResult> {
    signal?.throwIfAborted();
    if (this.#waiting.length >= QUEUE_REQUESTS_MAX) {
      throw new StoreOverloaded("waiting requests", this.#waiting.length, QUEUE_REQUESTS_MAX);
    }
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > QUEUE_BYTES_MAX) {
      throw new StoreOverloaded("waiting bytes", this.#waitingBytes, QUEUE_BYTES_MAX);
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        txn,
        footprint: footprintOf(txn),
        bytes,
        resolve,
        reject,
        state: "waiting",
        signal,
        onAbort: undefined,
      };
      if (signal !== undefined) {
        pending.onAbort = () => this.#cancel(pending);
        signal.addEventListener("abort", pending.onAbort, { once: true });
      }
      this.#waiting.push(pending);
      this.#waitingBytes += bytes;
      this.#scheduleFlush();
    });
  }

  /** Resolves when everything that was accepted is settled. */
  drain(): Promise<void> {
    if (this.#waiting.length === 0 && this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  /** At the end of this turn of the event loop, so that all who write in it share a batch. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#underWay >= BATCHES_UNDER_WAY_MAX) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#underWay < BATCHES_UNDER_WAY_MAX) {
      const batch = this.#take();
      if (batch.length === 0) break;
      this.#underWay++;
      void this.#send(batch);
    }
    if (this.#waiting.length === 0 && this.#underWay === 0) this.#drained?.();
  }

  /** The first that may go, and what may go with it. */
  #take(): Pending[] {
    const batch: Pending[] = [];
    const held = new ChangedKeys();
    const left: Pending[] = [];
    const sums = { count: 0, operations: 0, bytes: 0 };
    let looked = 0;
    for (const pending of this.#waiting) {
      if (pending.state !== "waiting") continue;
      if (looked++ >= LOOK_AHEAD_MAX || batch[0]?.footprint.hasLease === true) {
        left.push(pending);
        continue;
      }
      const { footprint } = pending;
      const bytes = pending.bytes + OPERATION_BYTES * footprint.touched.length;
      const mustWait = this.#changing.overlaps(footprint) || held.overlaps(footprint);
      if (mustWait || !fitsBatch(sums, { footprint, bytes })) {
        held.add(footprint);
        left.push(pending);
        continue;
      }
      this.#changing.add(footprint);
      pending.state = "sent";
      this.#waitingBytes -= pending.bytes;
      batch.push(pending);
      sums.count++;
      sums.operations = Math.max(sums.operations, footprint.operations);
      sums.bytes += bytes;
    }
    this.#waiting = left;
    return batch;
  }

  async #send(batch: readonly Pending[]): Promise<void> {
    const txns = batch.map(({ txn }) => this.#keyspace.txn(txn));
    const reply = await this.#client.call(METHODS.txn, encodeTxn(together(txns)), {
      isWrite: true,
    });
    for (const { footprint } of batch) this.#changing.remove(footprint);
    if (reply.ok) this.#answer(batch, decodeTxn(reply.message));
    else {
      const error = isLeaseNotFound(reply.failure) ? undefined : reply.error;
      for (const pending of batch) {
        this.#settle(pending, () => pending.reject(error ?? leaseError(pending.txn)));
      }
    }
    this.#underWay--;
    // Whoever was just told may write again in this turn: they go together.
    if (this.#waiting.length > 0 || this.#drained !== undefined) this.#scheduleFlush();
  }

  #answer(batch: readonly Pending[], answer: EtcdTxnAnswer): void {
    for (const [index, pending] of batch.entries()) {
      const own = batch.length === 1 ? answer : nestedAnswer(answer, index);
      const result = this.#keyspace.result(pending.txn, own, answer.revision);
      this.#settle(pending, () => pending.resolve(result));
    }
  }

  #settle(pending: Pending, tell: () => void): void {
    if (pending.state === "settled") return;
    pending.state = "settled";
    if (pending.onAbort !== undefined) {
      pending.signal?.removeEventListener("abort", pending.onAbort);
    }
    tell();
  }

  #cancel(pending: Pending): void {
    const cause: unknown = pending.signal?.reason;
    const wasSent = pending.state === "sent";
    if (!wasSent) {
      this.#waiting.splice(this.#waiting.indexOf(pending), 1);
      this.#waitingBytes -= pending.bytes;
    }
    const error = new StoreUnknownOutcome("it was cancelled under way", { cause });
    this.#settle(pending, () => pending.reject(wasSent ? error : cause));
  }
}

/** One transaction of etcd that does all of `txns`, each under its own conditions. */
export function together(txns: readonly EtcdTxn[]): EtcdTxn {
  const [first] = txns;
  if (first !== undefined && txns.length === 1) return first;
  return { compare: [], then: txns.map((txn) => ({ kind: "txn", txn })), otherwise: [] };
}

function nestedAnswer(answer: EtcdTxnAnswer, index: number): EtcdTxnAnswer {
  const nested = answer.answers[index];
  assert(nested?.kind === "txn", "etcd answers each transaction of a batch");
  return nested.txn;
}

/** Of a transaction that went alone, since it names a lease. */
function leaseError(txn: Txn): StoreLeaseNotFound {
  const operations = [...txn.then, ...(txn.otherwise ?? [])];
  const attached = operations.find(({ kind, ...rest }) => kind === "put" && "leaseId" in rest);
  const leaseId = attached?.kind === "put" ? attached.leaseId : undefined;
  return new StoreLeaseNotFound(leaseId ?? 0);
}
