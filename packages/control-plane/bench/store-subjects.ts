/** The three ways to write durably that `store.bench.ts` compares, behind one small interface. */

import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { silentLogger, systemClock } from "@berth/base";
import { openSqliteStore } from "../src/store/sqlite.ts";
import { openRaw, rawWriter, readRaw } from "./store-raw.ts";

export type Stored = ReadonlyMap<string, { readonly value: string; readonly version: number }>;

export interface Subject {
  /** Resolves when the write would survive a loss of power. */
  readonly write: (key: string, value: string) => Promise<void>;
  readonly close: () => Promise<void>;
  /** Reads back from the closed file what is there. */
  readonly stored: () => Promise<Stored>;
}

/** Names in the order in which each round runs them. */
export const SUBJECTS: Readonly<Record<string, (path: string) => Promise<Subject>>> = {
  "own transaction, main thread": ownTransaction,
  "raw group commit, worker": rawGroupCommit,
  store,
};

async function ownTransaction(path: string): Promise<Subject> {
  const database = openRaw(path);
  const writeRaw = rawWriter(database);
  return {
    write: async (key, value) => {
      // A request comes from the event loop, and waits its turn there behind the others.
      await turn();
      database.exec("BEGIN IMMEDIATE");
      writeRaw(key, value);
      database.exec("COMMIT");
    },
    close: async () => database.close(),
    stored: async () => readRaw(path),
  };
}

async function rawGroupCommit(path: string): Promise<Subject> {
  const worker = new Worker(new URL("./store-raw-worker.ts", import.meta.url), {
    workerData: path,
  });
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  let waiting: [string, string][] = [];
  let resolves: (() => void)[] = [];
  let sent: (() => void)[] = [];
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    if (waiting.length === 0 || sent.length > 0) return;
    worker.postMessage(waiting);
    sent = resolves;
    waiting = [];
    resolves = [];
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  };
  worker.on("message", () => {
    for (const resolve of sent) resolve();
    sent = [];
    schedule();
  });
  return {
    write: (key, value) =>
      new Promise((resolve) => {
        waiting.push([key, value]);
        resolves.push(resolve);
        schedule();
      }),
    close: async () => {
      worker.postMessage("close");
      await exited;
    },
    stored: async () => readRaw(path),
  };
}

async function store(path: string): Promise<Subject> {
  const open = () => openSqliteStore({ path, clock: systemClock, log: silentLogger });
  const opened = await open();
  return {
    write: async (key, value) => {
      await opened.txn({ compare: [], then: [{ kind: "put", key, value }] });
    },
    close: () => opened.close(),
    stored: async () => {
      const again = await open();
      const found = new Map<string, { value: string; version: number }>();
      for (let after = "", more = true; more; ) {
        const page = await again.list("", { limit: 10_000, after });
        for (const { key, value, version } of page.entries) found.set(key, { value, version });
        after = page.entries.at(-1)?.key ?? "";
        more = page.more;
      }
      await again.close();
      return found;
    },
  };
}
