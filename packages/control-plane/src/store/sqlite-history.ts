/**
 * The events of one revision as a row of the history table: a short JSON head, and a body that is all
 * values one after the other. Values are JSON text already: putting them into JSON again would escape
 * every quote, a third more bytes and most of the time of a write.
 *
 * Invariant: `decodeEvents(encodeEvents(revision, events))` equals `events`.
 */

import { StoreError } from "./errors.ts";
import type { RevisionEvents } from "./event-ring.ts";
import type { StoredEntry, WatchEvent } from "./port.ts";

export interface HistoryRow {
  readonly revision: number;
  /** JSON: one `HeadItem` for each event. */
  readonly head: string;
  readonly body: string;
}

/** createRevision, modRevision, version, leaseId or 0, length of the value in the body. */
type EntryHead = readonly [number, number, number, number, number];
/** Key, the entry after (0: deleted), the entry before (0: there was none). */
type HeadItem = readonly [string, EntryHead | 0, EntryHead | 0];

export function encodeEvents(revision: number, events: readonly WatchEvent[]): HistoryRow {
  let body = "";
  const take = (entry: StoredEntry | undefined): EntryHead | 0 => {
    if (entry === undefined) return 0;
    body += entry.value;
    const { createRevision, modRevision, version, leaseId = 0 } = entry;
    return [createRevision, modRevision, version, leaseId, entry.value.length];
  };
  const items: HeadItem[] = events.map((event) => [
    event.key,
    take(event.type === "put" ? event.entry : undefined),
    take(event.previous),
  ]);
  return { revision, head: JSON.stringify(items), body };
}

/** A row that is decoded when somebody looks: also the form in which events leave the worker. */
export class HistoryEvents implements RevisionEvents {
  readonly #row: HistoryRow;
  #events: readonly WatchEvent[] | undefined;

  constructor(row: HistoryRow) {
    this.#row = row;
  }

  get revision(): number {
    return this.#row.revision;
  }

  get bytes(): number {
    return this.#row.head.length + this.#row.body.length;
  }

  get events(): readonly WatchEvent[] {
    this.#events ??= decodeEvents(this.#row);
    return this.#events;
  }
}

export function decodeEvents(row: HistoryRow): WatchEvent[] {
  const { revision } = row;
  // Written by `encodeEvents` into a database whose pages are checked: parsed, not validated.
  const items = JSON.parse(row.head) as readonly HeadItem[];
  let offset = 0;
  const give = (key: string, head: EntryHead | 0): StoredEntry | undefined => {
    if (head === 0) return undefined;
    const [createRevision, modRevision, version, leaseId, length] = head;
    const value = row.body.slice(offset, offset + length);
    offset += length;
    const lease = leaseId === 0 ? {} : { leaseId };
    return { key, value, createRevision, modRevision, version, ...lease };
  };
  return items.map(([key, after, before]) => {
    const entry = give(key, after);
    const previous = give(key, before);
    if (entry !== undefined) {
      return { type: "put", key, revision, entry, ...(previous === undefined ? {} : { previous }) };
    }
    if (previous !== undefined) return { type: "delete", key, revision, previous };
    throw new StoreError("corrupt", `revision ${revision} has an event of nothing`, {
      revision,
      key,
    });
  });
}
