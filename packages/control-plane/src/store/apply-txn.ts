/**
 * What a transaction does, as a synchronous function over a table: the one meaning that the memory store
 * and the SQLite worker share. The table is changed in place; the caller makes it atomic.
 *
 * Everything that can refuse a transaction (`checkTxn`, leases) is looked at before the first change, so
 * that a refused transaction leaves no trace. Cost: O(operations × log n + entries touched).
 */

import { assert, assertNever } from "@berth/base";
import { StoreLeaseNotFound } from "./errors.ts";
import { LIST_PAGE_BYTES_MAX, pageLimit } from "./limits.ts";
import type {
  Compare,
  CompareOp,
  LeaseId,
  Operation,
  OperationResult,
  Revision,
  StoredEntry,
  Txn,
  TxnResult,
  WatchEvent,
} from "./port.ts";

/** The current state, as a transaction reads and changes it. */
export interface Table {
  read(key: string): StoredEntry | undefined;
  /** Keys that begin with `prefix` and are greater than `after`, in order, one after the other. */
  scan(prefix: string, after: string | undefined): Iterable<StoredEntry>;
  /** `previous` is what `read` answers for the key. */
  put(entry: StoredEntry, previous: StoredEntry | undefined): void;
  remove(previous: StoredEntry, revision: Revision): void;
  hasLease(leaseId: LeaseId): boolean;
}

export interface AppliedTxn {
  readonly result: TxnResult;
  /** Empty when nothing was changed; else all of revision `result.revision`. */
  readonly events: readonly WatchEvent[];
}

/** Does `txn` on `table`, which is at `revision`. Throws only before the first change. */
export function applyTxn(table: Table, txn: Txn, revision: Revision): AppliedTxn {
  const succeeded = txn.compare.every((compare) => holds(compare, table.read(compare.key)));
  const operations = succeeded ? txn.then : (txn.otherwise ?? []);
  for (const operation of operations) {
    if (operation.kind !== "put" || operation.leaseId === undefined) continue;
    if (!table.hasLease(operation.leaseId)) throw new StoreLeaseNotFound(operation.leaseId);
  }
  const change = new Change(table, revision + 1);
  const results = operations.map((operation) => change.apply(operation));
  const reached = change.events.length > 0 ? revision + 1 : revision;
  return { result: { succeeded, revision: reached, results }, events: change.events };
}

/** Deletes `entries` in one revision, as a lease that ends does. */
export function removeEntries(
  table: Table,
  entries: readonly StoredEntry[],
  revision: Revision,
): readonly WatchEvent[] {
  const change = new Change(table, revision + 1);
  for (const entry of entries) change.remove(entry);
  return change.events;
}

/** Takes entries until the page is full; `more` tells whether any was left. */
export function takePage(
  entries: Iterable<StoredEntry>,
  limit: number,
): { entries: StoredEntry[]; more: boolean } {
  const page: StoredEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (page.length >= limit || bytes >= LIST_PAGE_BYTES_MAX) return { entries: page, more: true };
    page.push(entry);
    bytes += entry.key.length + entry.value.length;
  }
  return { entries: page, more: false };
}

/** The changes of one revision as they are made. */
class Change {
  readonly events: WatchEvent[] = [];
  readonly #table: Table;
  readonly #revision: Revision;

  constructor(table: Table, revision: Revision) {
    this.#table = table;
    this.#revision = revision;
  }

  apply(operation: Operation): OperationResult {
    switch (operation.kind) {
      case "put":
        return this.#put(operation);
      case "delete": {
        const previous = this.#table.read(operation.key);
        if (previous !== undefined) this.remove(previous);
        return { kind: "delete", deleted: previous === undefined ? 0 : 1 };
      }
      case "delete-prefix": {
        // Collected first: a table need not bear changes while it is scanned.
        const doomed = [...this.#table.scan(operation.prefix, undefined)];
        for (const entry of doomed) this.remove(entry);
        return { kind: "delete-prefix", deleted: doomed.length };
      }
      case "get":
        return { kind: "get", entry: this.#table.read(operation.key) };
      case "list": {
        const found = this.#table.scan(operation.prefix, operation.after);
        return { kind: "list", ...takePage(found, pageLimit(operation.limit)) };
      }
      default:
        return assertNever(operation, "operation");
    }
  }

  remove(previous: StoredEntry): void {
    assert(previous.modRevision < this.#revision, "a key is changed once in a revision");
    this.#table.remove(previous, this.#revision);
    this.events.push({ type: "delete", key: previous.key, revision: this.#revision, previous });
  }

  #put(operation: Operation & { kind: "put" }): OperationResult {
    const { key, value, leaseId } = operation;
    const previous = this.#table.read(key);
    assert((previous?.modRevision ?? 0) < this.#revision, "a key is changed once in a revision");
    const entry: StoredEntry = {
      key,
      value,
      createRevision: previous?.createRevision ?? this.#revision,
      modRevision: this.#revision,
      version: (previous?.version ?? 0) + 1,
      ...(leaseId === undefined ? {} : { leaseId }),
    };
    this.#table.put(entry, previous);
    const before = previous === undefined ? {} : { previous };
    this.events.push({ type: "put", key, revision: this.#revision, entry, ...before });
    return { kind: "put" };
  }
}

function holds(compare: Compare, entry: StoredEntry | undefined): boolean {
  if (compare.target === "value") {
    if (entry === undefined) return false;
    const order = Buffer.compare(Buffer.from(entry.value), Buffer.from(compare.value));
    return holdsOrder(compare.op, order);
  }
  const found = entry === undefined ? 0 : entry[compare.target];
  return holdsOrder(compare.op, found - compare.value);
}

/** `order` is negative, zero or positive as the found is less, equal or greater. */
function holdsOrder(op: CompareOp, order: number): boolean {
  switch (op) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case ">":
      return order > 0;
    default:
      return assertNever(op, "comparison");
  }
}
