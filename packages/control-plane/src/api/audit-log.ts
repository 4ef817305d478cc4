/**
 * The audit record: who asked for which write, and how it was answered. Never what a body said.
 *
 * Entries gather for a moment and are written together. What waits is bounded: when the store cannot take
 * entries, no further write is accepted, rather than one that nobody could look up.
 */

import type { Clock, Driver, Loop } from "@berth/base";
import { type AuditEntry, keys, ProtocolError } from "@berth/protocol";
import { TXN_OPERATIONS_MAX } from "../store/limits.ts";
import type { Store } from "../store/port.ts";

/** Entries wait this long for others: one transaction for all writes of a burst. */
const GATHER_MS = 20;
/** Entries that wait at most; about ten seconds of the fastest store. */
export const AUDIT_WAITING_MAX = 20_000;
const PATH_CHARS_MAX = 500;

export class AuditLog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #loop: Loop;
  #waiting: AuditEntry[] = [];

  constructor(options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly driver: Driver;
    readonly newId: () => string;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#newId = options.newId;
    this.#loop = options.driver.add({
      name: "audit",
      purpose: "writes the audit record",
      gatherMs: GATHER_MS,
      run: () => this.flush(),
    });
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** @throws ProtocolError `unavailable` while the record is too far behind to take another write. */
  checkRoom(): void {
    if (this.#waiting.length < AUDIT_WAITING_MAX) return;
    throw new ProtocolError("unavailable", "the audit record cannot be written at present", {
      limit: "audit entries waiting",
      maximum: AUDIT_WAITING_MAX,
    });
  }

  note(entry: Omit<AuditEntry, "id" | "at">): void {
    const at = this.#clock.now();
    const path = entry.path.slice(0, PATH_CHARS_MAX);
    // The time comes first, so that the order of keys is the order of writes.
    const id = `${String(Math.floor(at)).padStart(15, "0")}-${this.#newId()}`;
    this.#waiting.push({ ...entry, path, id, at });
    this.#loop.wake();
  }

  /** Writes what waits. What could not be written waits on. */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const page = this.#waiting.slice(0, TXN_OPERATIONS_MAX);
      await this.#store.txn({
        compare: [],
        then: page.map((entry) => ({
          kind: "put",
          key: keys.audit(entry.id),
          value: JSON.stringify(entry),
        })),
      });
      this.#waiting = this.#waiting.slice(page.length);
    }
  }
}
