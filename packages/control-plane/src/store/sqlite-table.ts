/**
 * The table of the SQLite store: current entries, history, leases, as prepared statements. Runs in the
 * worker, inside the transaction of a batch.
 *
 * The state at an older revision is the current one with the events since then undone, as in the memory
 * store. Cost: O(log n) a statement; a list at an older revision O(events since) besides its page.
 */

import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { assert } from "@berth/base";
import type { Table } from "./apply-txn.ts";
import { StoreError } from "./errors.ts";
import { LIST_PAGE_BYTES_MAX, prefixEnd } from "./limits.ts";
import type { Lease, LeaseId, Revision, StoredEntry } from "./port.ts";
import { decodeEvents, type HistoryRow } from "./sqlite-history.ts";

const COLUMNS = "key, value, create_revision, mod_revision, version, lease_id";
/** Above every key, whose characters end at 0x7e. */
const KEYS_END = "\x7f";
/** The least character of a key: `key + this` is the least key above `key`. */
const KEY_LEAST_CHARACTER = " ";

export class SqliteTable implements Table {
  readonly #read: StatementSync;
  readonly #scan: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #byLease: StatementSync;
  readonly #appendHistory: StatementSync;
  readonly #readHistory: StatementSync;
  readonly #forgetHistory: StatementSync;
  readonly #hasLease: StatementSync;
  readonly #addLease: StatementSync;
  readonly #removeLease: StatementSync;
  readonly #setMeta: StatementSync;
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    const prepare = (sql: string) => {
      const statement = database.prepare(sql);
      statement.setReturnArrays(true);
      return statement;
    };
    this.#read = prepare(`SELECT ${COLUMNS} FROM entries WHERE key = ?`);
    this.#scan = prepare(`SELECT ${COLUMNS} FROM entries WHERE key >= ? AND key < ? ORDER BY key`);
    this.#insert = prepare(`INSERT INTO entries (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)`);
    this.#update = prepare(
      "UPDATE entries SET value = ?, mod_revision = ?, version = ?, lease_id = ? WHERE key = ?",
    );
    this.#delete = prepare("DELETE FROM entries WHERE key = ?");
    this.#byLease = prepare(`SELECT ${COLUMNS} FROM entries WHERE lease_id = ? ORDER BY key`);
    this.#appendHistory = prepare("INSERT INTO history (revision, head, body) VALUES (?, ?, ?)");
    this.#readHistory = prepare(
      "SELECT revision, head, body FROM history WHERE revision >= ? ORDER BY revision",
    );
    this.#forgetHistory = prepare("DELETE FROM history WHERE revision <= ?");
    this.#hasLease = prepare("SELECT 1 FROM leases WHERE id = ?");
    this.#addLease = prepare("INSERT INTO leases (ttl_ms) VALUES (?)");
    this.#removeLease = prepare("DELETE FROM leases WHERE id = ?");
    this.#setMeta = prepare("UPDATE meta SET value = ? WHERE name = ?");
  }

  read(key: string): StoredEntry | undefined {
    return optionalEntry(this.#read.get(key));
  }

  *scan(prefix: string, after: string | undefined): Generator<StoredEntry> {
    const from = after !== undefined && after >= prefix ? after + KEY_LEAST_CHARACTER : prefix;
    const end = prefixEnd(prefix) ?? KEYS_END;
    for (const row of this.#scan.iterate(from, end)) yield entryOf(row);
  }

  put(entry: StoredEntry, previous: StoredEntry | undefined): void {
    const { key, value, createRevision, modRevision, version, leaseId = null } = entry;
    if (previous === undefined) {
      this.#insert.run(key, value, createRevision, modRevision, version, leaseId);
    } else {
      this.#update.run(value, modRevision, version, leaseId, key);
    }
  }

  remove(previous: StoredEntry): void {
    this.#delete.run(previous.key);
  }

  hasLease(leaseId: LeaseId): boolean {
    return this.#hasLease.get(leaseId) !== undefined;
  }

  entriesOfLease(leaseId: LeaseId): StoredEntry[] {
    return this.#byLease.all(leaseId).map(entryOf);
  }

  addLease(ttlMs: number): Lease {
    return { leaseId: Number(this.#addLease.run(ttlMs).lastInsertRowid), ttlMs };
  }

  /** Whether there was one. */
  removeLease(leaseId: LeaseId): boolean {
    return this.#removeLease.run(leaseId).changes > 0;
  }

  leases(): Lease[] {
    const rows = this.#database.prepare("SELECT id, ttl_ms FROM leases ORDER BY id").all();
    return rows.map((row) => ({ leaseId: Number(row["id"]), ttlMs: Number(row["ttl_ms"]) }));
  }

  appendHistory({ revision, head, body }: HistoryRow): void {
    this.#appendHistory.run(revision, head, body);
  }

  /** Whole revisions from `from` on, until there are `revisionsMax` or a page's bytes. */
  history(from: Revision, revisionsMax: number): HistoryRow[] {
    const page: HistoryRow[] = [];
    let bytes = 0;
    for (const row of this.#rowsFrom(from)) {
      page.push(row);
      bytes += row.head.length + row.body.length;
      if (page.length >= revisionsMax || bytes >= LIST_PAGE_BYTES_MAX) break;
    }
    return page;
  }

  /** As `scan`, in the state at `revision`, which is not compacted. */
  *scanAt(
    revision: Revision,
    prefix: string,
    after: string | undefined,
  ): Generator<StoredEntry, void, undefined> {
    const before = this.#stateBefore(revision + 1, prefix);
    const vanished = [...before.values()].filter((entry) => entry !== undefined);
    const gone = vanished
      .filter((entry) => after === undefined || entry.key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    let next = 0;
    for (const entry of this.scan(prefix, after)) {
      for (let old = gone[next]; old !== undefined && old.key < entry.key; old = gone[++next]) {
        yield old;
      }
      if (gone[next]?.key === entry.key) next++;
      const then = before.has(entry.key) ? before.get(entry.key) : entry;
      if (then !== undefined) yield then;
    }
    yield* gone.slice(next);
  }

  /** Deletes the history up to `revision`; the caller bounds how much that is. */
  forgetHistory(revision: Revision): void {
    this.#forgetHistory.run(revision);
  }

  setCompactRevision(revision: Revision): void {
    this.#setMeta.run(String(revision), "compact_revision");
  }

  /** Reads the counters; throws `corrupt` when history has a hole. */
  counters(): { epoch: string; revision: Revision; compactRevision: Revision } {
    const epoch = this.#meta("epoch");
    const compactRevision = Number(this.#meta("compact_revision"));
    const row = this.#database
      .prepare("SELECT max(revision) AS newest, count(*) AS count FROM history WHERE revision > ?")
      .get(compactRevision);
    const newest = Number(row?.["newest"] ?? compactRevision);
    if (newest - compactRevision !== Number(row?.["count"])) {
      throw new StoreError("corrupt", "the history has a hole", { compactRevision, newest });
    }
    return { epoch, revision: newest, compactRevision };
  }

  /** The oldest revision whose row still lies in the table, compacted or not. */
  oldestHistory(): Revision | undefined {
    const row = this.#database.prepare("SELECT min(revision) AS oldest FROM history").get();
    const oldest = row?.["oldest"];
    return typeof oldest === "number" ? oldest : undefined;
  }

  *#rowsFrom(from: Revision): Generator<HistoryRow> {
    for (const row of this.#readHistory.iterate(from)) {
      const [revision, head, body] = cells(row);
      assert(typeof revision === "number" && typeof head === "string", "a history row");
      assert(typeof body === "string", "a history row has a body");
      yield { revision, head, body };
    }
  }

  /** For each key that changed from `revision` on: what it held before (undefined: nothing). */
  #stateBefore(revision: Revision, prefix: string): Map<string, StoredEntry | undefined> {
    const before = new Map<string, StoredEntry | undefined>();
    for (const row of this.#rowsFrom(revision)) {
      for (const event of decodeEvents(row)) {
        if (!event.key.startsWith(prefix) || before.has(event.key)) continue;
        before.set(event.key, event.previous);
      }
    }
    return before;
  }

  #meta(name: string): string {
    const row = this.#database.prepare("SELECT value FROM meta WHERE name = ?").get(name);
    const value = row?.["value"];
    if (typeof value === "string") return value;
    throw new StoreError("corrupt", `the database lacks its ${name}`, { name });
  }
}

/** Statements return arrays, which is faster and which the types of node:sqlite do not know. */
function cells(row: unknown): readonly SQLOutputValue[] {
  assert(Array.isArray(row), "statements return arrays");
  return row;
}

function optionalEntry(row: unknown): StoredEntry | undefined {
  return row === undefined ? undefined : entryOf(row);
}

function entryOf(row: unknown): StoredEntry {
  const [key, value, createRevision, modRevision, version, leaseId] = cells(row);
  assert(typeof key === "string" && typeof value === "string", "an entry's texts");
  assert(typeof createRevision === "number" && typeof modRevision === "number", "its revisions");
  assert(typeof version === "number", "an entry's version");
  if (typeof leaseId !== "number") return { key, value, createRevision, modRevision, version };
  return { key, value, createRevision, modRevision, version, leaseId };
}
