/**
 * The local database on disk: SQLite in WAL mode with `synchronous=FULL`, so that a commit survives power
 * loss. It is locked exclusively while open: two agents on one data directory would hold one volume's lock
 * twice, so the second is refused.
 *
 * All commits of one turn of the event loop are one transaction and one flush: 100 tasks that start at
 * once cost a few flushes, not thousands.
 */

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { ProtocolError } from "@berth/protocol";
import type { Change, LocalDb, Table } from "./local-db.ts";

/** Format of the file; raised with every change that older agents cannot read. */
const FORMAT = 1;

/** SQLite's result codes that say that the disk is full, or that somebody else has the file. */
const SQLITE_FULL = 13;
const SQLITE_BUSY = 5;

interface Waiting {
  readonly changes: readonly Change[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class SqliteDb implements LocalDb {
  readonly #db: DatabaseSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  #waiting: Waiting[] = [];

  /** Opens or makes the file. Throws `conflict` when another process has it open. */
  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#db = new DatabaseSync(path);
    try {
      this.#db.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;");
      this.#db.exec("PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;");
      this.#db.exec(
        `CREATE TABLE IF NOT EXISTS rows (
          "table" TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
          PRIMARY KEY ("table", key)) WITHOUT ROWID, STRICT`,
      );
      // Takes the lock now rather than at the first write.
      this.#db.exec("BEGIN IMMEDIATE; COMMIT;");
    } catch (error) {
      this.#db.close();
      throw openError(error, path);
    }
    this.#checkFormat(path);
    this.#put = this.#db.prepare(
      'INSERT OR REPLACE INTO rows ("table", key, value) VALUES (?, ?, ?)',
    );
    this.#delete = this.#db.prepare('DELETE FROM rows WHERE "table" = ? AND key = ?');
  }

  read(table: Table): ReadonlyMap<string, unknown> {
    const rows = this.#db.prepare('SELECT key, value FROM rows WHERE "table" = ?').all(table);
    return new Map(rows.map((row) => [String(row["key"]), JSON.parse(String(row["value"]))]));
  }

  commit(changes: readonly Change[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => this.#flush());
    });
  }

  async close(): Promise<void> {
    this.#flush();
    this.#db.close();
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 0) return;
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      for (const { changes } of waiting) for (const change of changes) this.#write(change);
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      for (const { reject } of waiting) reject(writeError(error));
      return;
    }
    for (const { resolve } of waiting) resolve();
  }

  #write({ table, key, value }: Change): void {
    if (value === undefined) this.#delete.run(table, key);
    else this.#put.run(table, key, JSON.stringify(value));
  }

  #checkFormat(path: string): void {
    const format = Number(this.#db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
    if (format > FORMAT) {
      this.#db.close();
      const details = { path, format, known: FORMAT };
      throw new ProtocolError(
        "conflict",
        "the agent's database is of a newer version of Berth",
        details,
      );
    }
    if (format < FORMAT) this.#db.exec(`PRAGMA user_version=${FORMAT}`);
  }
}

function resultCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
}

function openError(error: unknown, path: string): ProtocolError {
  if (resultCode(error) === SQLITE_BUSY) {
    const message = `another agent uses ${path}: one data directory belongs to one agent`;
    return new ProtocolError("conflict", message, { path }, { cause: error });
  }
  return new ProtocolError("internal", `opening ${path}`, { path }, { cause: error });
}

function writeError(error: unknown): ProtocolError {
  const code = resultCode(error) === SQLITE_FULL ? "storage_full" : "internal";
  return new ProtocolError(code, "writing the agent's database", {}, { cause: error });
}
