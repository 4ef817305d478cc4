/**
 * What waits for the SQLite worker. One batch is under way at a time; meanwhile requests gather here and
 * become the next batch, so the disk's own speed decides how large batches are: under load one fsync
 * serves hundreds of writes, alone a write waits for nobody. (Two batches under way were tried: on a slow
 * disk they halve the size of each and with it the rate.)
 *
 * Invariants: first come, first served; bounded by requests and bytes; each accepted request is settled
 * exactly once. Cost: O(1) a request.
 */

import { MIB } from "@berth/base";
import { StoreOverloaded, StoreUnknownOutcome } from "./errors.ts";
import type { StoreAnswer, StoreRequest } from "./sqlite-messages.ts";

/** Waiting requests at most: some seconds of work even for a slow disk; more waiting helps nobody. */
export const QUEUE_REQUESTS_MAX = 10_000;
/** Bytes of waiting writes at most, a bound on the server's memory. */
export const QUEUE_BYTES_MAX = 32 * MIB;
/** A batch is at most this many requests, so that the first of them need not wait long. */
export const BATCH_REQUESTS_MAX = 1_000;
/** And this many bytes, for the same reason; a single larger one still goes. */
export const BATCH_BYTES_MAX = 8 * MIB;

export interface QueuedRequest {
  readonly request: StoreRequest;
  readonly bytes: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answer: StoreAnswer) => void;
  readonly reject: (error: unknown) => void;
}

interface Pending extends QueuedRequest {
  state: "waiting" | "sent" | "settled";
  onAbort: (() => void) | undefined;
}

export class RequestQueue {
  /** Settled requests may lie among the waiting ones: those that were cancelled. */
  #waiting: Pending[] = [];
  #sent: Pending[] = [];
  #waitingCount = 0;
  #waitingBytes = 0;

  get empty(): boolean {
    return this.#waitingCount === 0 && this.#sent.length === 0;
  }

  /** Whether a batch is under way. */
  get busy(): boolean {
    return this.#sent.length > 0;
  }

  /** Throws `StoreOverloaded` at the limits, or the signal's reason when it has aborted. */
  add(queued: QueuedRequest): void {
    queued.signal?.throwIfAborted();
    if (this.#waitingCount >= QUEUE_REQUESTS_MAX) {
      throw new StoreOverloaded("waiting requests", this.#waitingCount, QUEUE_REQUESTS_MAX);
    }
    if (this.#waitingCount > 0 && this.#waitingBytes + queued.bytes > QUEUE_BYTES_MAX) {
      throw new StoreOverloaded("waiting bytes", this.#waitingBytes, QUEUE_BYTES_MAX);
    }
    const pending: Pending = { ...queued, state: "waiting", onAbort: undefined };
    if (queued.signal !== undefined) {
      pending.onAbort = () => this.#cancel(pending);
      queued.signal.addEventListener("abort", pending.onAbort, { once: true });
    }
    this.#waiting.push(pending);
    this.#waitingCount++;
    this.#waitingBytes += queued.bytes;
  }

  /** Takes the next batch; empty when nothing waits. Only while no batch is under way. */
  take(): readonly StoreRequest[] {
    let bytes = 0;
    let taken = 0;
    for (const pending of this.#waiting) {
      if (pending.state === "waiting") {
        if (this.#closesBatch(pending, bytes)) break;
        pending.state = "sent";
        bytes += pending.bytes;
        this.#sent.push(pending);
      }
      taken++;
    }
    this.#waiting.splice(0, taken);
    this.#waitingCount -= this.#sent.length;
    this.#waitingBytes -= bytes;
    return this.#sent.map((pending) => pending.request);
  }

  /** Settles the batch under way: one call for each of its requests, in order. */
  settle(settleOne: (request: QueuedRequest, index: number) => void): void {
    const sent = this.#sent;
    this.#sent = [];
    for (const [index, pending] of sent.entries()) {
      // A cancelled one has been told that its outcome is unknown.
      if (pending.state === "sent") settleOne(this.#finish(pending), index);
    }
  }

  /** Rejects everything: what was sent with `sentError`, what waits with `waitingError`. */
  fail(errors: {
    readonly sent: (request: StoreRequest) => unknown;
    readonly waiting: unknown;
  }): void {
    this.settle((queued) => queued.reject(errors.sent(queued.request)));
    const waiting = this.#waiting.filter((pending) => pending.state === "waiting");
    this.#waiting = [];
    this.#waitingCount = 0;
    this.#waitingBytes = 0;
    for (const pending of waiting) this.#finish(pending).reject(errors.waiting);
  }

  /** A snapshot goes alone: it cannot be made inside a transaction. */
  #closesBatch(pending: Pending, bytes: number): boolean {
    const count = this.#sent.length;
    if (count === 0) return false;
    if (pending.request.kind === "snapshot" || this.#sent[0]?.request.kind === "snapshot")
      return true;
    return count >= BATCH_REQUESTS_MAX || bytes + pending.bytes > BATCH_BYTES_MAX;
  }

  #cancel(pending: Pending): void {
    const wasSent = pending.state === "sent";
    if (!wasSent) {
      this.#waitingCount--;
      this.#waitingBytes -= pending.bytes;
    }
    const reason: unknown = pending.signal?.reason;
    const { reject } = this.#finish(pending);
    if (wasSent && writes(pending.request)) {
      reject(new StoreUnknownOutcome("it was cancelled under way", { cause: reason }));
    } else {
      reject(reason);
    }
  }

  #finish(pending: Pending): QueuedRequest {
    pending.state = "settled";
    if (pending.onAbort !== undefined) {
      pending.signal?.removeEventListener("abort", pending.onAbort);
    }
    return pending;
  }
}

/** Whether the outcome matters when no reply comes. */
export function writes(request: StoreRequest): boolean {
  return request.kind !== "get" && request.kind !== "list" && request.kind !== "history";
}
