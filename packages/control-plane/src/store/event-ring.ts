/**
 * The newest revisions with their events, in memory, so that watches which keep up never ask the disk.
 *
 * Invariants: revisions are contiguous and whole; the ring is bounded by count and by bytes, and keeps
 * the newest revision whatever its size. Cost: O(1) amortised to add, O(1) to find a revision.
 */

import { assert, MIB } from "@berth/base";
import type { Revision, WatchEvent } from "./port.ts";

/** All events of one revision. */
export interface RevisionEvents {
  readonly revision: Revision;
  readonly events: readonly WatchEvent[];
  /** About how much memory they take. */
  readonly bytes: number;
}

/** A consumer that is further behind reads history from the store instead. */
export const RING_REVISIONS_MAX = 10_000;
/** A share of the server's memory that stays small beside its 140 MB. */
export const RING_BYTES_MAX = 4 * MIB;
/** The array is cut once this many dropped slots lie before its head. */
const DROPPED_SLOTS_MAX = 1_024;

export class EventRing {
  #slots: RevisionEvents[] = [];
  #head = 0;
  #bytes = 0;

  /** The oldest revision held, `undefined` when none is. */
  get first(): Revision | undefined {
    return this.#slots[this.#head]?.revision;
  }

  get #count(): number {
    return this.#slots.length - this.#head;
  }

  push(change: RevisionEvents): void {
    const last = this.#slots.at(-1);
    assert(last === undefined || last.revision + 1 === change.revision, "revisions are contiguous");
    this.#slots.push(change);
    this.#bytes += change.bytes;
    while (this.#count > RING_REVISIONS_MAX || this.#bytes > RING_BYTES_MAX) {
      if (this.#count === 1) break;
      this.#drop();
    }
  }

  /** At most `revisionsMax` revisions from `from` on, which is held. */
  read(from: Revision, revisionsMax: number): RevisionEvents[] {
    const first = this.first;
    assert(first !== undefined && from >= first, "the ring holds the revision");
    const start = this.#head + (from - first);
    return this.#slots.slice(start, start + revisionsMax);
  }

  clear(): void {
    this.#slots = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #drop(): void {
    const dropped = this.#slots[this.#head];
    assert(dropped !== undefined, "the ring is not empty");
    this.#bytes -= dropped.bytes;
    this.#head++;
    if (this.#head < DROPPED_SLOTS_MAX || this.#head < this.#slots.length / 2) return;
    this.#slots = this.#slots.slice(this.#head);
    this.#head = 0;
  }
}

/** What `events` take, for who has no better figure. */
export function bytesOfEvents(events: readonly WatchEvent[]): number {
  let bytes = 0;
  for (const event of events) {
    bytes += event.key.length + (event.previous?.value.length ?? 0);
    if (event.type === "put") bytes += event.entry.value.length;
  }
  return bytes;
}
