/**
 * The same work without the store: an upsert and a log row by node:sqlite, with the same durability
 * (WAL, synchronous=FULL) and the same cache and checkpoint sizes as `sqlite-open.ts`.
 */

import { DatabaseSync } from "node:sqlite";

export function openRaw(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA wal_autocheckpoint = 10000;
    CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, key TEXT UNIQUE, value TEXT, version INTEGER);
    CREATE TABLE IF NOT EXISTS log (revision INTEGER PRIMARY KEY, key TEXT, value TEXT);
  `);
  return database;
}

/** One write: the entry and its log row. */
export function rawWriter(database: DatabaseSync): (key: string, value: string) => void {
  const upsert = database.prepare(
    `INSERT INTO entries (key, value, version) VALUES (?, ?, 1)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = version + 1`,
  );
  const log = database.prepare("INSERT INTO log (key, value) VALUES (?, ?)");
  return (key, value) => {
    upsert.run(key, value);
    log.run(key, value);
  };
}

/** What lies in the raw database after it was closed: key → value and number of writes. */
export function readRaw(path: string): Map<string, { value: string; version: number }> {
  const database = new DatabaseSync(path);
  const rows = database.prepare("SELECT key, value, version FROM entries").all();
  database.close();
  return new Map(
    rows.map(({ key, value, version }) => [
      String(key),
      { value: String(value), version: Number(version) },
    ]),
  );
}
