import assert from "node:assert/strict";
import { mkdtemp, open as openFile, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { silentLogger, systemClock } from "@berth/base";
import { build } from "esbuild";
import { eventsOf, watched } from "./contract-subject.ts";
import { StoreClosed, StoreError, StoreFutureRevision } from "./errors.ts";
import type { Store } from "./port.ts";
import { openSqliteStore, type SqliteStoreOptions } from "./sqlite.ts";

async function folder(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "berth-store-"));
  context.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function open(
  context: TestContext,
  path: string,
  options: Partial<SqliteStoreOptions> = {},
): Promise<Store> {
  const store = await openSqliteStore({ path, clock: systemClock, log: silentLogger, ...options });
  context.after(() => store.close());
  return store;
}

function put(store: Store, key: string, value: string) {
  return store.txn({ compare: [], then: [{ kind: "put", key, value }] });
}

test("what was acknowledged is there after closing and opening, in the same epoch", async (context) => {
  const path = join(await folder(context), "berth.db");
  const first = await open(context, path);
  await put(first, "a", '{"x":1}');
  await put(first, "a", '{"x":2}');
  await first.close();
  const second = await open(context, path);
  assert.equal(second.epoch, first.epoch);
  const entry = { key: "a", value: '{"x":2}', createRevision: 1, modRevision: 2, version: 2 };
  assert.deepEqual(await second.get("a"), { entry, revision: 2 });
});

test("a second server on the same data is refused with who holds it", async (context) => {
  const path = join(await folder(context), "berth.db");
  await open(context, path);
  await assert.rejects(open(context, path), (error: unknown) => {
    assert(error instanceof StoreError);
    assert.equal(error.storeCode, "locked");
    assert.equal(error.details["pid"], process.pid);
    return true;
  });
});

test("a file that is no database is refused as corrupt", async (context) => {
  const path = join(await folder(context), "berth.db");
  await writeFile(path, "not a database ".repeat(1_000));
  await assert.rejects(open(context, path), { storeCode: "corrupt" });
});

test("another program's database is refused and left as it was", async (context) => {
  const path = join(await folder(context), "berth.db");
  const foreign = new DatabaseSync(path);
  foreign.exec("CREATE TABLE theirs (x)");
  foreign.close();
  const before = await readFile(path);
  await assert.rejects(open(context, path), { storeCode: "corrupt" });
  assert.deepEqual(await readFile(path), before);
});

test("a file of a newer version is refused", async (context) => {
  const path = join(await folder(context), "berth.db");
  await (await open(context, path)).close();
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 999");
  database.close();
  await assert.rejects(open(context, path), { storeCode: "newer-schema" });
});

test("a damaged page is found when the store is opened", async (context) => {
  const path = join(await folder(context), "berth.db");
  const store = await open(context, path);
  for (let index = 0; index < 50; index++) await put(store, `k/${index}`, `"${"x".repeat(500)}"`);
  await store.close();
  const file = await openFile(path, "r+");
  await file.write(Buffer.alloc(4_096, 0xff), 0, 4_096, 4_096 * 5);
  await file.close();
  await assert.rejects(open(context, path), { storeCode: "corrupt" });
});

test("a write without space fails as a whole, and the store serves on", async (context) => {
  const path = join(await folder(context), "berth.db");
  const store = await open(context, path, { databaseBytesMax: 1024 * 1024 });
  const value = JSON.stringify("x".repeat(100_000));
  let written = 0;
  const fill = async () => {
    for (; written < 100; written++) await put(store, `k/${written}`, value);
  };
  await assert.rejects(fill(), { storeCode: "disk-full", code: "storage_full" });
  const { entries, revision } = await store.list("k/");
  assert.equal(entries.length, written);
  assert.equal(revision, written);
  await store.compact(revision);
  await store.txn({ compare: [], then: [{ kind: "delete-prefix", prefix: "k/" }] });
  await put(store, "k/again", "1");
});

test("a store that is opened from a snapshot has the state in a new epoch", async (context) => {
  const path = await folder(context);
  const store = await open(context, join(path, "berth.db"));
  await put(store, "a", "1");
  await store.snapshot(join(path, "copy.db"));
  await put(store, "a", "2");
  await assert.rejects(store.snapshot(join(path, "copy.db")), { storeCode: "invalid" });
  const copy = await open(context, join(path, "copy.db"));
  assert.notEqual(copy.epoch, store.epoch);
  assert.equal((await copy.get("a")).entry?.value, "1");
});

test("history is kept at its limit without a command", async (context) => {
  const path = join(await folder(context), "berth.db");
  const store = await open(context, path, { historyRevisionsMax: 10 });
  await Promise.all(Array.from({ length: 1_500 }, (_, index) => put(store, "a", `${index}`)));
  await put(store, "a", '"last"');
  const watch = store.watch("a", 5, new AbortController().signal)[Symbol.asyncIterator]();
  await assert.rejects(Promise.resolve(watch.next()), { storeCode: "compacted" });
});

test("leases live on over a restart and their time starts anew", async (context) => {
  const path = join(await folder(context), "berth.db");
  const first = await open(context, path);
  const { leaseId } = await first.grantLease(60_000);
  const then = [{ kind: "put", key: "alive", value: "1", leaseId }] as const;
  await first.txn({ compare: [], then });
  await first.close();
  const second = await open(context, path);
  assert.deepEqual(await second.keepAlive(leaseId), { leaseId, ttlMs: 60_000 });
  await second.revokeLease(leaseId);
  assert.equal((await second.get("alive")).entry, undefined);
});

test("calls after closing are refused, calls before it are finished", async (context) => {
  const path = join(await folder(context), "berth.db");
  const store = await open(context, path);
  const writes = Array.from({ length: 100 }, (_, index) => put(store, `k/${index}`, "1"));
  const closed = store.close();
  await assert.rejects(put(store, "late", "1"), StoreClosed);
  assert.equal((await Promise.all(writes)).length, 100);
  await closed;
});

test("a file of schema 1 opens with all that it holds", async (context) => {
  const path = join(await folder(context), "berth.db");
  const database = new DatabaseSync(path);
  database.exec(await readFile(new URL("./testdata/schema-1.sql", import.meta.url), "utf8"));
  database.close();
  const store = await open(context, path);
  assert.equal(store.epoch, "first-life");
  const before = { key: "a/1", value: '{"x":1}', createRevision: 1, modRevision: 1, version: 1 };
  const after = { key: "a/1", value: '{"x":2}', createRevision: 1, modRevision: 2, version: 2 };
  const b = { key: "b", value: '"ü"', createRevision: 3, modRevision: 3, version: 1, leaseId: 1 };
  assert.deepEqual((await store.list("")).entries, [after, b]);
  assert.deepEqual((await store.list("", { atRevision: 1 })).entries, [before]);
  assert.deepEqual(eventsOf(await watched(store, "", 2, 3)), [
    { type: "put", key: "a/1", revision: 2, entry: after, previous: before },
    { type: "put", key: "b", revision: 3, entry: b },
  ]);
  assert.equal((await store.keepAlive(1)).ttlMs, 60_000);
});

test("the worker serves from a bundle, too", async (context) => {
  const path = await folder(context);
  const outfile = join(path, "worker.mjs");
  const entry = fileURLToPath(new URL("./sqlite-worker.ts", import.meta.url));
  await build({ entryPoints: [entry], outfile, bundle: true, platform: "node", format: "esm" });
  const store = await open(context, join(path, "berth.db"), { workerUrl: pathToFileURL(outfile) });
  await put(store, "a", "1");
  await assert.rejects(store.list("a", { atRevision: 9 }), StoreFutureRevision);
});

test("a worker that cannot start is an error of opening", async (context) => {
  const path = await folder(context);
  const workerUrl = pathToFileURL(join(path, "missing.mjs"));
  await assert.rejects(open(context, join(path, "berth.db"), { workerUrl }), StoreClosed);
  await assert.rejects(open(context, join(path, "no-such-folder", "berth.db")), {
    storeCode: "io",
  });
});
