/**
 * Who waits until a revision is shown, in the order in which they came.
 *
 * Cost: O(waiting) a revision that is reached; nothing while nobody waits.
 */

import type { Revision } from "./port.ts";

interface Waiter {
  readonly revision: Revision;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class RevisionWaiters {
  readonly #waiting = new Set<Waiter>();
  #closed: Error | undefined;

  /** Resolves when `reached` is called with `revision` or a later one; rejects with the signal's reason. */
  async wait(revision: Revision, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw this.#closed;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { revision, resolve, reject };
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(waiter);
    try {
      await promise;
    } finally {
      this.#waiting.delete(waiter);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  reached(revision: Revision): void {
    for (const waiter of this.#waiting) if (waiter.revision <= revision) waiter.resolve();
  }

  /** Ends every wait, and every later one, with `reason`. */
  close(reason: Error): void {
    this.#closed = reason;
    for (const waiter of this.#waiting) waiter.reject(reason);
  }
}
