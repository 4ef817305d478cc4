/**
 * Group commit: whatever is queued becomes one SQLite transaction with one fsync, in which each request
 * is done in turn and sees what earlier ones did. Replies leave only after the commit.
 *
 * A transaction of the store refuses before its first change (`applyTxn`), so a refused one needs no
 * savepoint: it leaves no trace in the batch. Any other failure rolls the whole batch back.
 * Invariant: `revision` and `compactRevision` here are those of the last commit.
 */

import type { DatabaseSync } from "node:sqlite";
import { assertNever } from "@berth/base";
import { applyTxn, removeEntries, takePage } from "./apply-txn.ts";
import { StoreCompacted, StoreError, StoreFutureRevision } from "./errors.ts";
import type { ListResult, Revision, WatchEvent } from "./port.ts";
import { encodeEvents, type HistoryRow } from "./sqlite-history.ts";
import {
  type OpenedDatabase,
  plainError,
  type StoreAnswer,
  type StoreCalls,
  type StoreReply,
  type StoreRequest,
} from "./sqlite-messages.ts";
import { sqliteError } from "./sqlite-open.ts";
import { SqliteTable } from "./sqlite-table.ts";

/** Forgotten revisions are deleted in steps of this many a batch: at most some milliseconds each. */
const FORGET_STEP = 1_000;

export interface BatchResult {
  readonly replies: readonly StoreReply[];
  readonly changes: readonly HistoryRow[];
  readonly compactRevision: Revision;
}

interface Counters {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  /** Rows of history up to here are deleted. */
  readonly forgotten: Revision;
}

export class BatchRunner {
  readonly #database: DatabaseSync;
  readonly #table: SqliteTable;
  readonly #path: string;
  readonly #historyRevisionsMax: number;
  #counters: Counters;
  #changes: HistoryRow[] = [];
  readonly opened: OpenedDatabase;

  constructor(
    database: DatabaseSync,
    options: { readonly path: string; readonly historyRevisionsMax: number },
  ) {
    this.#database = database;
    this.#path = options.path;
    this.#historyRevisionsMax = options.historyRevisionsMax;
    this.#table = new SqliteTable(database);
    const { epoch, revision, compactRevision } = this.#table.counters();
    const oldest = this.#table.oldestHistory() ?? revision + 1;
    this.#counters = { revision, compactRevision, forgotten: oldest - 1 };
    this.opened = { epoch, revision, compactRevision, leases: this.#table.leases() };
  }

  /**
   * Does all of `requests` or, when the database fails, none: then every reply is that failure. Throws
   * `StoreError` "unknown-outcome" when the commit itself failed in a way that may have kept it.
   */
  run(requests: readonly StoreRequest[]): BatchResult {
    const before = this.#counters;
    this.#changes = [];
    let replies: StoreReply[];
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      replies = requests.map((request) => this.#reply(request));
      this.#forgetStep();
    } catch (error) {
      return this.#rollback(before, requests.length, sqliteError(error, this.#path));
    }
    try {
      this.#database.exec("COMMIT");
    } catch (error) {
      return this.#commitFailed(before, requests.length, error);
    }
    return { replies, changes: this.#changes, compactRevision: this.#counters.compactRevision };
  }

  /** A refusal is the reply; a failure of the database is thrown on and ends the batch. */
  #reply(request: StoreRequest): StoreReply {
    try {
      return { ok: true, answer: this.#answer(request) };
    } catch (error) {
      if (error instanceof StoreError) return { ok: false, error: plainError(error) };
      throw error;
    }
  }

  #answer(request: StoreRequest): StoreAnswer {
    const { revision } = this.#counters;
    switch (request.kind) {
      case "txn": {
        const { result, events } = applyTxn(this.#table, request.txn, revision);
        this.#commitEvents(events);
        return result;
      }
      case "get":
        return { entry: this.#table.read(request.key), revision };
      case "list":
        return this.#list(request);
      case "history":
        this.#refuseCompacted(request.from, request.from - 1);
        return this.#table.history(request.from, request.revisionsMax);
      case "compact":
        return this.#compact(request.revision);
      case "grant":
        return this.#table.addLease(request.ttlMs);
      case "revoke": {
        if (!this.#table.removeLease(request.leaseId)) return revision;
        const entries = this.#table.entriesOfLease(request.leaseId);
        this.#commitEvents(removeEntries(this.#table, entries, revision));
        return this.#counters.revision;
      }
      case "snapshot":
        throw new StoreError("invalid", "a snapshot is made outside of batches");
      default:
        return assertNever(request, "request");
    }
  }

  #list(request: StoreCalls["list"]["ask"]): ListResult {
    const { revision } = this.#counters;
    const { prefix, limit, after, atRevision = revision } = request;
    if (atRevision > revision) throw new StoreFutureRevision(atRevision, revision);
    this.#refuseCompacted(atRevision, atRevision);
    const entries =
      atRevision === revision
        ? this.#table.scan(prefix, after)
        : this.#table.scanAt(atRevision, prefix, after);
    return { ...takePage(entries, limit), revision: atRevision };
  }

  /** The state at the compacted revision is still known; what led to it is not. */
  #refuseCompacted(asked: Revision, state: Revision): void {
    const { compactRevision } = this.#counters;
    if (state < compactRevision) throw new StoreCompacted(asked, compactRevision);
  }

  #compact(revision: Revision): Revision {
    const current = this.#counters;
    if (revision > current.revision) throw new StoreFutureRevision(revision, current.revision);
    if (revision <= current.compactRevision) return current.compactRevision;
    this.#table.setCompactRevision(revision);
    this.#counters = { ...current, compactRevision: revision };
    return revision;
  }

  #commitEvents(events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    const revision = this.#counters.revision + 1;
    const row = encodeEvents(revision, events);
    this.#table.appendHistory(row);
    this.#counters = { ...this.#counters, revision };
    this.#changes.push(row);
  }

  /** Keeps history at its limit, and deletes some of what was compacted. */
  #forgetStep(): void {
    const { revision, compactRevision } = this.#counters;
    if (revision - compactRevision >= this.#historyRevisionsMax + FORGET_STEP) {
      this.#compact(revision - this.#historyRevisionsMax);
    }
    const { compactRevision: target, forgotten } = this.#counters;
    if (forgotten >= target) return;
    const upTo = Math.min(target, forgotten + FORGET_STEP);
    this.#table.forgetHistory(upTo);
    this.#counters = { ...this.#counters, forgotten: upTo };
  }

  #rollback(before: Counters, count: number, error: StoreError): BatchResult {
    this.#counters = before;
    this.#changes = [];
    // SQLite may have rolled back already, then this is refused: the state is the same.
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    const reply: StoreReply = { ok: false, error: plainError(error) };
    const replies = Array.from({ length: count }, () => reply);
    return { replies, changes: [], compactRevision: before.compactRevision };
  }

  /**
   * No space: SQLite has taken its frames back and nothing was committed. Anything else, above all a
   * failed fsync, may or may not be on the disk, and what the kernel holds cannot be trusted any more.
   */
  #commitFailed(before: Counters, count: number, error: unknown): BatchResult {
    const known = sqliteError(error, this.#path);
    if (known.storeCode === "disk-full") return this.#rollback(before, count, known);
    const message = `the commit failed: ${known.message}`;
    throw new StoreError("unknown-outcome", message, known.details, { cause: error });
  }
}
