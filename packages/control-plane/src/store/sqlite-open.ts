/**
 * Opens the database file of the SQLite store: takes it for this process alone, checks it, migrates it.
 *
 * The lock is SQLite's own exclusive lock on the file: the kernel frees it when the process dies, however
 * it dies. A file beside it says who holds it, for the message only. Never open the database file in this
 * process by other means: closing any descriptor of it would drop the lock (POSIX).
 *
 * Cost: O(size of the file) for the check, 0.3 s for 160 MB.
 */

import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "./errors.ts";
import type { WorkerOptions } from "./sqlite-messages.ts";
import { migrate, refuseForeign } from "./sqlite-schema.ts";

/**
 * Pages in memory. History fills whatever is given within hours, and the whole server shall stay below
 * 140 MB; what is not here lies in the system's page cache. With 64 MiB a write cost no less.
 */
const CACHE_KIB = 16_384;
/** Pages in the log before they are copied back: at 1,000 pages writes stood still for it, see tried.md 2. */
const CHECKPOINT_PAGES = 10_000;
/** The log is cut to this after a checkpoint, so that one burst does not keep its space for ever. */
const LOG_BYTES_KEPT = 64 * 1024 * 1024;
const PAGE_BYTES = 4_096;

/** Opens or creates the database. Throws a `StoreError`: locked, corrupt, newer-schema, disk-full, io. */
export function openDatabase(options: WorkerOptions): DatabaseSync {
  const { path } = options;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    // Exclusive before the first use of the log: no shared-memory file, and one owner.
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    refuseForeign(database, path);
    configure(database, options);
    check(database, path);
    migrate(database);
    giveEpoch(database);
    writeFileSync(ownerPath(path), JSON.stringify(ownerOfThisProcess()));
    syncDirectory(path);
    return database;
  } catch (error) {
    database?.close();
    throw sqliteError(error, path);
  }
}

/** Closes the database; what is committed is copied back from the log. */
export function closeDatabase(database: DatabaseSync, path: string): void {
  rmSync(ownerPath(path), { force: true });
  database.close();
}

/** A `StoreError` for what SQLite threw; others of the family pass. */
export function sqliteError(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const cause = { cause: error };
  const reason = error instanceof Error ? error.message : String(error);
  switch (primaryCode(error)) {
    case SQLITE_FULL:
      return new StoreError("disk-full", `no space left for ${path}`, { path }, cause);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new StoreError("corrupt", `${path} is damaged: ${reason}`, { path }, cause);
    case SQLITE_BUSY:
      return lockedError(path);
    default:
      return new StoreError("io", `${path} cannot be used: ${reason}`, { path }, cause);
  }
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}

function configure(database: DatabaseSync, options: WorkerOptions): void {
  database.exec("PRAGMA journal_mode = WAL");
  // A commit returns after its log is on the disk: an acknowledged write survives a loss of power.
  database.exec("PRAGMA synchronous = FULL");
  database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  database.exec(`PRAGMA journal_size_limit = ${LOG_BYTES_KEPT}`);
  database.exec(`PRAGMA max_page_count = ${Math.floor(options.databaseBytesMax / PAGE_BYTES)}`);
}

function check(database: DatabaseSync, path: string): void {
  const rows = database.prepare("PRAGMA quick_check(3)").all();
  const findings = rows.map((row) => String(row["quick_check"]));
  if (findings.length === 1 && findings[0] === "ok") return;
  const message = `${path} is damaged: ${findings.join("; ")}. Restore a backup.`;
  throw new StoreError("corrupt", message, { path, findings });
}

/** A new file, and one that was restored from a snapshot, has no epoch yet: a new life begins. */
function giveEpoch(database: DatabaseSync): void {
  database
    .prepare("INSERT INTO meta (name, value) VALUES ('epoch', ?) ON CONFLICT DO NOTHING")
    .run(randomUUID());
}

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
}

function ownerPath(path: string): string {
  return `${path}.owner`;
}

function ownerOfThisProcess(): Owner {
  return { pid: process.pid, host: hostname(), since: new Date().toISOString() };
}

function lockedError(path: string): StoreError {
  const owner = readOwner(path);
  const who =
    owner === undefined
      ? "another process"
      : `process ${owner.pid} on ${owner.host} since ${owner.since}`;
  return new StoreError("locked", `${path} is in use by ${who}`, { path, ...owner });
}

function readOwner(path: string): Owner | undefined {
  try {
    const owner: unknown = JSON.parse(readFileSync(ownerPath(path), "utf8"));
    if (typeof owner !== "object" || owner === null) return undefined;
    if (!("pid" in owner) || !("host" in owner) || !("since" in owner)) return undefined;
    return { pid: Number(owner.pid), host: String(owner.host), since: String(owner.since) };
  } catch {
    // The file is for a better message only; without it the message names nobody.
    return undefined;
  }
}

/** The file's name itself must survive a loss of power. */
function syncDirectory(path: string): void {
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
