/**
 * Entries in a map with their keys in a sorted array: the table of the memory store.
 *
 * Cost: O(1) to read, O(log n) to find a place, O(n) words moved for a new or removed key, which for the
 * sizes of tests is less than a balanced tree costs.
 */

import type { Table } from "./apply-txn.ts";
import type { LeaseId, StoredEntry } from "./port.ts";

export class MemoryTable implements Table {
  readonly leases = new Set<LeaseId>();
  #entries = new Map<string, StoredEntry>();
  #keys: string[] = [];

  read(key: string): StoredEntry | undefined {
    return this.#entries.get(key);
  }

  *scan(prefix: string, after: string | undefined): Generator<StoredEntry> {
    let index = this.#indexOf(prefix);
    if (after !== undefined && after >= prefix) {
      index = this.#indexOf(after);
      if (this.#keys[index] === after) index++;
    }
    for (; index < this.#keys.length; index++) {
      const key = this.#keys[index];
      if (key === undefined || !key.startsWith(prefix)) return;
      const entry = this.#entries.get(key);
      if (entry !== undefined) yield entry;
    }
  }

  put(entry: StoredEntry): void {
    this.restore(entry.key, entry);
  }

  remove(previous: StoredEntry): void {
    this.restore(previous.key, undefined);
  }

  hasLease(leaseId: LeaseId): boolean {
    return this.leases.has(leaseId);
  }

  /** Makes `key` hold `entry`, or nothing. */
  restore(key: string, entry: StoredEntry | undefined): void {
    const known = this.#entries.has(key);
    if (entry === undefined) {
      if (known) this.#keys.splice(this.#indexOf(key), 1);
      this.#entries.delete(key);
      return;
    }
    if (!known) this.#keys.splice(this.#indexOf(key), 0, key);
    this.#entries.set(key, entry);
  }

  /** In order of key. O(n): leases are few and end seldom. */
  entriesOfLease(leaseId: LeaseId): StoredEntry[] {
    return [...this.scan("", undefined)].filter((entry) => entry.leaseId === leaseId);
  }

  copy(): MemoryTable {
    const copy = new MemoryTable();
    copy.#entries = new Map(this.#entries);
    copy.#keys = [...this.#keys];
    return copy;
  }

  /** Where `key` is, or would be inserted. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#keys[middle];
      if (other !== undefined && other < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
