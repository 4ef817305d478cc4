/**
 * The store's limits and the checks of what callers hand in. They are etcd's, also where memory and
 * SQLite could do more: what works on one machine must work on a cluster.
 *
 * Keys are printable ASCII so that the order of JavaScript strings, of SQLite's BINARY collation and of
 * etcd's bytes is the same; callers percent-encode what is not.
 */

import { assertNever, HOUR_MS, KIB, MIB } from "@berth/base";
import { StoreInvalid, StoreTooLarge } from "./errors.ts";
import type { Operation, Txn } from "./port.ts";

/** etcd's `--max-txn-ops`, for each of the three lists of a transaction. */
export const TXN_OPERATIONS_MAX = 128;
/**
 * Keys and values of a whole transaction: etcd's `--max-request-bytes` of 1.5 MiB, less what encoding and
 * the cluster's prefix may add to three lists of 128.
 */
export const TXN_BYTES_MAX = 1.5 * MIB - 64 * KIB;
/** Keys are held in memory by every index: kept short. */
export const KEY_BYTES_MAX = KIB;
/** Larger things belong into blobs; leaves room for keys and conditions in one transaction. */
export const VALUE_BYTES_MAX = MIB;
/** Entries of a page when the caller does not say. */
export const LIST_LIMIT_DEFAULT = 1_000;
/** Entries of a page at most: keeps one reply within some milliseconds of work. */
export const LIST_LIMIT_MAX = 10_000;
/** A page ends after this much; one of the largest entries still fits. */
export const LIST_PAGE_BYTES_MAX = 4 * MIB;
/** A lease shorter than this would expire by the jitter of a busy event loop alone. */
export const LEASE_TTL_MS_MIN = 500;
/** A lease says that somebody is alive; longer ones are no leases. */
export const LEASE_TTL_MS_MAX = 24 * HOUR_MS;

const KEY_PATTERN = /^[\x20-\x7e]+$/;
const PREFIX_PATTERN = /^[\x20-\x7e]*$/;

/** Throws unless `key` is a well-formed key within its limit. */
export function checkKey(key: string): void {
  if (key.length > KEY_BYTES_MAX) throw new StoreTooLarge("key bytes", key.length, KEY_BYTES_MAX);
  if (!KEY_PATTERN.test(key)) throw new StoreInvalid("a key is not printable ASCII", { key });
}

/** Throws unless `prefix` can begin a key; the empty prefix is that of all keys. */
export function checkPrefix(prefix: string): void {
  if (prefix.length > KEY_BYTES_MAX) {
    throw new StoreTooLarge("prefix bytes", prefix.length, KEY_BYTES_MAX);
  }
  if (!PREFIX_PATTERN.test(prefix)) {
    throw new StoreInvalid("a prefix is not printable ASCII", { prefix });
  }
}

/** The least string above all that begin with `prefix`; `undefined` when there is none. */
export function prefixEnd(prefix: string): string | undefined {
  if (prefix === "") return undefined;
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

/** How many entries a page may have, from what the caller asked for. */
export function pageLimit(limit: number | undefined): number {
  if (limit === undefined) return LIST_LIMIT_DEFAULT;
  if (!Number.isInteger(limit) || limit < 1) {
    throw new StoreInvalid("a page's limit is not a positive integer", { limit });
  }
  return Math.min(limit, LIST_LIMIT_MAX);
}

/** Throws unless `ttlMs` is a lease's time within the limits. */
export function checkLeaseTtl(ttlMs: number): void {
  if (!Number.isFinite(ttlMs) || ttlMs < LEASE_TTL_MS_MIN) {
    throw new StoreInvalid(`a lease lasts ${LEASE_TTL_MS_MIN} ms at least`, { ttlMs });
  }
  if (ttlMs > LEASE_TTL_MS_MAX) throw new StoreTooLarge("lease ms", ttlMs, LEASE_TTL_MS_MAX);
}

/** Throws unless `txn` is well formed and within every limit. Returns its size in bytes. */
export function checkTxn(txn: Txn): number {
  const otherwise = txn.otherwise ?? [];
  let bytes = 0;
  for (const list of [txn.compare, txn.then, otherwise]) {
    if (list.length > TXN_OPERATIONS_MAX) {
      throw new StoreTooLarge("transaction operations", list.length, TXN_OPERATIONS_MAX);
    }
  }
  for (const compare of txn.compare) {
    checkKey(compare.key);
    bytes += compare.key.length;
    if (compare.target === "value") bytes += Buffer.byteLength(compare.value);
  }
  bytes += checkBranch(txn.then) + checkBranch(otherwise);
  if (bytes > TXN_BYTES_MAX) throw new StoreTooLarge("transaction bytes", bytes, TXN_BYTES_MAX);
  return bytes;
}

/** etcd refuses a transaction that changes a key twice: its revision would have two values. */
function checkBranch(operations: readonly Operation[]): number {
  let bytes = 0;
  const changed = new Set<string>();
  const prefixes: string[] = [];
  for (const operation of operations) {
    bytes += checkOperation(operation);
    if (operation.kind === "delete-prefix") prefixes.push(operation.prefix);
    if (operation.kind !== "put" && operation.kind !== "delete") continue;
    if (changed.has(operation.key)) refuseTwice(operation.key);
    changed.add(operation.key);
  }
  for (const [index, prefix] of prefixes.entries()) {
    for (const key of changed) if (key.startsWith(prefix)) refuseTwice(key);
    for (const other of prefixes.slice(index + 1)) {
      if (other.startsWith(prefix) || prefix.startsWith(other)) refuseTwice(prefix);
    }
  }
  return bytes;
}

function checkOperation(operation: Operation): number {
  switch (operation.kind) {
    case "put":
      checkKey(operation.key);
      return operation.key.length + checkValue(operation.value);
    case "get":
    case "delete":
      checkKey(operation.key);
      return operation.key.length;
    case "delete-prefix":
      checkPrefix(operation.prefix);
      return operation.prefix.length;
    case "list":
      checkPrefix(operation.prefix);
      pageLimit(operation.limit);
      return operation.prefix.length;
    default:
      return assertNever(operation, "operation");
  }
}

function checkValue(value: string): number {
  const bytes = Buffer.byteLength(value);
  if (bytes > VALUE_BYTES_MAX) throw new StoreTooLarge("value bytes", bytes, VALUE_BYTES_MAX);
  // A lone surrogate has no UTF-8: it would come back as something else.
  if (!value.isWellFormed()) throw new StoreInvalid("a value is not well-formed Unicode");
  return bytes;
}

function refuseTwice(key: string): never {
  throw new StoreInvalid("a transaction changes a key twice", { key });
}
