/**
 * The newest revisions with their events, in memory, so that watches which keep up never ask the disk.
 *
 * Invariants: revisions are contiguous and whole; the ring is bounded by events and by bytes, and keeps
 * the newest revision whatever its size. Cost: O(1) amortised to add, O(1) to find a revision.
 */

import { assert, MIB } from "@berth/base";
import type { Revision, WatchEvent } from "./port.ts";

/** All events of one revision. */
export interface RevisionEvents {
  readonly revision: Revision;
  readonly events: readonly WatchEvent[];
}

/** A consumer that is further behind reads history from the store instead. */
export const RING_EVENTS_MAX = 10_000;
/** A share of the server's memory that stays small beside its 140 MB. */
export const RING_BYTES_MAX = 8 * MIB;
/** The array is cut once this many dropped slots lie before its head. */
const DROPPED_SLOTS_MAX = 1_024;

export class EventRing {
  #slots: RevisionEvents[] = [];
  #head = 0;
  #events = 0;
  #bytes = 0;

  /** The oldest revision held, `undefined` when none is. */
  get first(): Revision | undefined {
    return this.#slots[this.#head]?.revision;
  }

  push(change: RevisionEvents): void {
    const last = this.#slots.at(-1);
    assert(last === undefined || last.revision + 1 === change.revision, "revisions are contiguous");
    this.#slots.push(change);
    this.#events += change.events.length;
    this.#bytes += bytesOf(change);
    while (this.#events > RING_EVENTS_MAX || this.#bytes > RING_BYTES_MAX) {
      if (this.#head >= this.#slots.length - 1) break;
      this.#drop();
    }
  }

  /** Revisions from `from` on, at most `eventsMax` events but at least one revision. */
  read(from: Revision, eventsMax: number): RevisionEvents[] {
    const first = this.first;
    assert(first !== undefined && from >= first, "the ring holds the revision");
    const start = this.#head + (from - first);
    let end = start;
    for (let events = 0; end < this.#slots.length; end++) {
      events += this.#slots[end]?.events.length ?? 0;
      if (events > eventsMax && end > start) break;
    }
    return this.#slots.slice(start, end);
  }

  #drop(): void {
    const dropped = this.#slots[this.#head];
    assert(dropped !== undefined, "the ring is not empty");
    this.#events -= dropped.events.length;
    this.#bytes -= bytesOf(dropped);
    this.#head++;
    if (this.#head < DROPPED_SLOTS_MAX || this.#head < this.#slots.length / 2) return;
    this.#slots = this.#slots.slice(this.#head);
    this.#head = 0;
  }
}

function bytesOf(change: RevisionEvents): number {
  let bytes = 0;
  for (const event of change.events) {
    bytes += event.key.length + (event.previous?.value.length ?? 0);
    if (event.type === "put") bytes += event.entry.value.length;
  }
  return bytes;
}
