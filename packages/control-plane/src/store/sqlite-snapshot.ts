/**
 * A consistent copy of the SQLite store in a new file.
 *
 * The copy has no epoch: whoever opens it begins a new life of the store, so that clients of the old one
 * list again (a restored store's revisions go back). The file appears under its name only when complete
 * and on the disk. Cost: 0.3 s for 160 MB, during which writes wait.
 */

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "./errors.ts";
import { sqliteError } from "./sqlite-open.ts";

/** Throws a `StoreError` when `path` exists or cannot be written; then nothing is left behind. */
export function writeSnapshot(database: DatabaseSync, path: string): void {
  if (existsSync(path)) {
    throw new StoreError("invalid", `${path} exists: a snapshot is a new file`, { path });
  }
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  try {
    database.prepare("VACUUM INTO ?").run(partial);
    const copy = new DatabaseSync(partial);
    copy.exec("DELETE FROM meta WHERE name = 'epoch'");
    copy.close();
    sync(partial);
    renameSync(partial, path);
    sync(dirname(path));
  } catch (error) {
    rmSync(partial, { force: true });
    throw sqliteError(error, path);
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
