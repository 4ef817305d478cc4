/**
 * The raw part that the store is compared with: group commit in a worker thread with nothing around it.
 * Takes arrays of writes, does each array in one SQLite transaction, answers how many it did.
 */

import type { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "@berth/base";
import { openRaw, rawWriter } from "./store-raw.ts";

assert(parentPort !== null && typeof workerData === "string", "started as a worker with a path");
const port = parentPort;
const database: DatabaseSync = openRaw(workerData);
const write = rawWriter(database);

port.on("message", (writes: readonly (readonly [string, string])[] | "close") => {
  if (writes === "close") {
    database.close();
    port.close();
    return;
  }
  database.exec("BEGIN IMMEDIATE");
  for (const [key, value] of writes) write(key, value);
  database.exec("COMMIT");
  port.postMessage(writes.length);
});
