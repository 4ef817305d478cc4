/**
 * Which transactions may go to etcd together, and how. A transaction of etcd may hold others: all their
 * conditions are looked at before the first change, so those go together that none of the earlier changes
 * what a later one touches. Together they are one proposal, one fsync on each member and one revision.
 *
 * Pure. Cost: O(keys) a transaction; a prefix is compared with every key that is being changed.
 */

import { MIB } from "@berth/base";
import { TXN_OPERATIONS_MAX } from "./limits.ts";
import type { Operation, Txn } from "./port.ts";

/** Smaller than etcd's request limit: a batch must not make the first of its writers wait long. */
export const BATCH_BYTES_MAX = MIB;

/** The keys that a transaction could touch, whichever branch is done. */
export interface Footprint {
  readonly touched: readonly string[];
  readonly changed: readonly string[];
  readonly touchedPrefixes: readonly string[];
  readonly changedPrefixes: readonly string[];
  /** The longest of its three lists: etcd counts them. */
  readonly operations: number;
  /** Attached to a lease: when that has ended, etcd refuses everything that was sent with it. */
  readonly hasLease: boolean;
}

export function footprintOf(txn: Txn): Footprint {
  const touched = txn.compare.map((compare) => compare.key);
  const changed: string[] = [];
  const touchedPrefixes: string[] = [];
  const changedPrefixes: string[] = [];
  let hasLease = false;
  const { then, otherwise = [] } = txn;
  const visit = (operation: Operation) => {
    if (operation.kind === "list" || operation.kind === "delete-prefix") {
      touchedPrefixes.push(operation.prefix);
      if (operation.kind === "delete-prefix") changedPrefixes.push(operation.prefix);
      return;
    }
    touched.push(operation.key);
    if (operation.kind !== "get") changed.push(operation.key);
    if (operation.kind === "put" && operation.leaseId !== undefined) hasLease = true;
  };
  then.forEach(visit);
  otherwise.forEach(visit);
  const operations = Math.max(txn.compare.length, then.length, otherwise.length);
  return { touched, changed, touchedPrefixes, changedPrefixes, operations, hasLease };
}

/** What transactions that are under way, or wait before others, are about to change. */
export class ChangedKeys {
  readonly #keys = new Map<string, number>();
  readonly #prefixes: string[] = [];

  add(footprint: Footprint): void {
    for (const key of footprint.changed) this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1);
    this.#prefixes.push(...footprint.changedPrefixes);
  }

  remove(footprint: Footprint): void {
    for (const key of footprint.changed) {
      const count = (this.#keys.get(key) ?? 0) - 1;
      if (count > 0) this.#keys.set(key, count);
      else this.#keys.delete(key);
    }
    for (const prefix of footprint.changedPrefixes) {
      this.#prefixes.splice(this.#prefixes.indexOf(prefix), 1);
    }
  }

  /** Whether `footprint` touches any of it. */
  overlaps(footprint: Footprint): boolean {
    const { touched, touchedPrefixes } = footprint;
    if (touched.some((key) => this.#keys.has(key))) return true;
    if (this.#prefixes.length > 0) {
      const isUnder = (key: string) => this.#prefixes.some((prefix) => key.startsWith(prefix));
      if (touched.some(isUnder)) return true;
    }
    return touchedPrefixes.some((prefix) => this.#overlapsPrefix(prefix));
  }

  #overlapsPrefix(prefix: string): boolean {
    for (const key of this.#keys.keys()) if (key.startsWith(prefix)) return true;
    return this.#prefixes.some((other) => other.startsWith(prefix) || prefix.startsWith(other));
  }
}

/** Whether one more transaction fits beside `count` others whose longest list has `operations`. */
export function fitsBatch(
  batch: { readonly count: number; readonly operations: number; readonly bytes: number },
  next: { readonly footprint: Footprint; readonly bytes: number },
): boolean {
  if (batch.count === 0) return true;
  if (next.footprint.hasLease || batch.bytes + next.bytes > BATCH_BYTES_MAX) return false;
  // etcd takes the outer transaction's operations off what each inner one may have.
  const longest = Math.max(batch.operations, next.footprint.operations);
  return batch.count + 1 + longest <= TXN_OPERATIONS_MAX;
}
