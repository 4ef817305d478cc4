/**
 * The tables of the SQLite store and how older files become them: numbered migrations, each run once, in
 * order, all in one transaction. `user_version` says how far a file is; a newer file is refused.
 *
 * A migration that was released is never changed; `testdata/` keeps a file of every released version.
 */

import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "./errors.ts";

/** Marks a file as ours, so that a foreign database is refused rather than changed: "BRTH". */
export const APPLICATION_ID = 0x42525448;

/** Index + 1 is the version that the migration leads to. */
const MIGRATIONS: readonly string[] = [
  // 1. Entries have rowids because a table without them spills values of 1 KB into overflow pages.
  // History has one row a revision: one append instead of an index entry for each event.
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE entries (
     id INTEGER PRIMARY KEY,
     key TEXT NOT NULL UNIQUE,
     value TEXT NOT NULL,
     create_revision INTEGER NOT NULL,
     mod_revision INTEGER NOT NULL,
     version INTEGER NOT NULL,
     lease_id INTEGER
   ) STRICT;
   CREATE INDEX entries_by_lease ON entries (lease_id) WHERE lease_id IS NOT NULL;
   CREATE TABLE history (
     revision INTEGER PRIMARY KEY,
     head TEXT NOT NULL,
     body TEXT NOT NULL
   ) STRICT;
   CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_ms INTEGER NOT NULL) STRICT;
   INSERT INTO meta (name, value) VALUES ('compact_revision', '0');`,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Throws `newer-schema`, or `corrupt` for another program's file. Changes nothing. */
export function refuseForeign(database: DatabaseSync, path: string): void {
  const version = pragmaNumber(database, "user_version");
  const application = pragmaNumber(database, "application_id");
  const isOurs = application === APPLICATION_ID;
  const isEmpty = application === 0 && version === 0 && !hasTables(database);
  if (!isOurs && !isEmpty) {
    throw new StoreError("corrupt", `${path} is a database of another program`, { path });
  }
  if (version <= SCHEMA_VERSION) return;
  const message = `${path} was written by a newer version (schema ${version}, known ${SCHEMA_VERSION})`;
  throw new StoreError("newer-schema", message, { path, version, known: SCHEMA_VERSION });
}

/** Brings an open database, which is ours or empty, to `SCHEMA_VERSION`. */
export function migrate(database: DatabaseSync): void {
  const version = pragmaNumber(database, "user_version");
  if (version === SCHEMA_VERSION) return;
  database.exec("BEGIN IMMEDIATE");
  for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  database.exec("COMMIT");
}

function pragmaNumber(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
}

function hasTables(database: DatabaseSync): boolean {
  return database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() !== undefined;
}
