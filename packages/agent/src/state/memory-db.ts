/**
 * A local database in memory: for tests and the simulation. Handed to a second agent after the first was
 * dropped, it is what a disk would have kept: whatever was committed, nothing more.
 */

import { type Change, type LocalDb, TABLES, type Table } from "./local-db.ts";

export class MemoryDb implements LocalDb {
  readonly #tables = new Map<Table, Map<string, string>>();
  /** Called before each commit is stored; throwing or never resolving is a disk that fails. */
  readonly #beforeCommit: (changes: readonly Change[]) => Promise<void> | void;

  constructor(beforeCommit: (changes: readonly Change[]) => Promise<void> | void = () => {}) {
    this.#beforeCommit = beforeCommit;
    for (const table of Object.keys(TABLES) as Table[]) this.#tables.set(table, new Map());
  }

  /** Rows of all tables. */
  get size(): number {
    return [...this.#tables.values()].reduce((sum, rows) => sum + rows.size, 0);
  }

  read(table: Table): ReadonlyMap<string, unknown> {
    const rows = this.#tables.get(table) ?? new Map<string, string>();
    return new Map([...rows].map(([key, text]) => [key, JSON.parse(text) as unknown]));
  }

  async commit(changes: readonly Change[]): Promise<void> {
    await this.#beforeCommit(changes);
    for (const { table, key, value } of changes) {
      const rows = this.#tables.get(table);
      if (value === undefined) rows?.delete(key);
      else rows?.set(key, JSON.stringify(value));
    }
  }

  async close(): Promise<void> {}
}
