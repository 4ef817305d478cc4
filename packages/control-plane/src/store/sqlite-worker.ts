/**
 * The worker thread that owns the database of the SQLite store, so that neither fsync nor a large list
 * ever stops the server's event loop. It does one message at a time and keeps no queue of its own.
 */

import type { DatabaseSync } from "node:sqlite";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, assertNever } from "@berth/base";
import { BatchRunner } from "./sqlite-batch.ts";
import {
  type FromWorker,
  plainError,
  type StoreReply,
  type StoreRequest,
  type ToWorker,
  type WorkerOptions,
} from "./sqlite-messages.ts";
import { closeDatabase, openDatabase } from "./sqlite-open.ts";
import { writeSnapshot } from "./sqlite-snapshot.ts";

function serve(port: MessagePort, options: WorkerOptions): void {
  let database: DatabaseSync;
  let runner: BatchRunner;
  try {
    database = openDatabase(options);
    runner = new BatchRunner(database, options);
  } catch (error) {
    fail(port, error);
    return;
  }
  const post = (message: FromWorker) => port.postMessage(message);
  port.on("message", (message: ToWorker) => {
    try {
      switch (message.kind) {
        case "batch":
          return post({ kind: "batch", ...run(database, runner, message.requests) });
        case "close":
          closeDatabase(database, options.path);
          post({ kind: "closed" });
          return port.close();
        default:
          return assertNever(message, "message");
      }
    } catch (error) {
      fail(port, error);
    }
  });
  post({ kind: "opened", opened: runner.opened });
}

/** A snapshot cannot be made inside a transaction: it comes alone. */
function run(database: DatabaseSync, runner: BatchRunner, requests: readonly StoreRequest[]) {
  const [first] = requests;
  if (first?.kind !== "snapshot") return runner.run(requests);
  assert(requests.length === 1, "a snapshot comes alone");
  const { compactRevision } = runner.run([]);
  return { replies: [snapshot(database, first.path)], changes: [], compactRevision };
}

function snapshot(database: DatabaseSync, path: string): StoreReply {
  try {
    writeSnapshot(database, path);
    return { ok: true, answer: 0 };
  } catch (error) {
    return { ok: false, error: plainError(error) };
  }
}

/** After this nothing is served: the file stays as the last commit left it. */
function fail(port: MessagePort, error: unknown): void {
  port.postMessage({ kind: "failed", error: plainError(error) } satisfies FromWorker);
  port.close();
}

assert(parentPort !== null, "the store's worker is started as a worker thread");
serve(parentPort, workerData as WorkerOptions);
