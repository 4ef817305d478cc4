/** A backup's envelope and what is in it: whole and right, or refused; and a cluster that comes out as it went in. */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger, systemClock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { openDiskBlobs } from "../blobs/disk.ts";
import { openStore } from "../server/open-store.ts";
import { everything } from "../store/copy-store.ts";
import { type BackupKey, openBackup, sealBackup } from "./cipher.ts";
import { backupOf, checkBackup, restoreBackup } from "./cluster-backup.ts";

const KEY: BackupKey = { kind: "key-file", content: Buffer.alloc(32, 7) };
const MIB = 1024 * 1024;

async function* pieces(bytes: Uint8Array, size = 60_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(bytes));
}

function refused(words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ProtocolError, String(error));
    assert.equal(error.code, "invalid_request", error.message);
    assert.match(error.message, words);
    return true;
  };
}

test("what was sealed opens with its key, whatever its length, and shows nothing without", async () => {
  for (const length of [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB]) {
    const plain = Buffer.alloc(length, "secret!");
    const sealed = await all(sealBackup(pieces(plain), KEY));
    assert.ok(!sealed.includes("secret!"));
    assert.ok((await all(openBackup(pieces(sealed), KEY))).equals(plain), `${length} bytes`);
    const other = await all(sealBackup(pieces(plain), KEY));
    assert.ok(!other.equals(sealed), "each has a salt of its own");
  }
});

test("a passphrase opens what it sealed, another does not, and a key file neither", async () => {
  const key: BackupKey = { kind: "passphrase", passphrase: "correct horse battery" };
  const sealed = await all(sealBackup(pieces(Buffer.from("content")), key));
  assert.equal(String(await all(openBackup(pieces(sealed), key))), "content");
  const wrong: BackupKey = { kind: "passphrase", passphrase: "correct horse batterie" };
  await assert.rejects(all(openBackup(pieces(sealed), wrong)), refused(/the key is another one/));
  await assert.rejects(all(openBackup(pieces(sealed), KEY)), refused(/made with a passphrase/));
  const short: BackupKey = { kind: "passphrase", passphrase: "berth" };
  await assert.rejects(all(sealBackup(pieces(sealed), short)), refused(/12 or more/));
});

test("a backup that is cut anywhere, changed anywhere or put together anew is refused", async () => {
  const plain = Buffer.alloc(2 * MIB + 10, 1);
  const sealed = await all(sealBackup(pieces(plain), KEY));
  const open = (bytes: Uint8Array) => all(openBackup(pieces(bytes), KEY));
  for (const at of [0, 10, 200, MIB, sealed.length - MIB, sealed.length - 26, sealed.length - 1]) {
    await assert.rejects(open(sealed.subarray(0, at)), refused(/./), `cut at ${at}`);
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await assert.rejects(open(changed), refused(/./), `changed at ${at}`);
  }
  const head = sealed.indexOf(10) + 1;
  const size = MIB + 16;
  const [one, two] = [
    sealed.subarray(head, head + size),
    sealed.subarray(head + size, head + 2 * size),
  ];
  const swapped = Buffer.concat([
    sealed.subarray(0, head),
    two,
    one,
    sealed.subarray(head + 2 * size),
  ]);
  await assert.rejects(open(swapped), refused(/./));
  const shorter = Buffer.concat([sealed.subarray(0, head), one]);
  await assert.rejects(open(shorter), refused(/./), "a piece that is not the last does not end it");
});

const world = { clock: systemClock, log: silentLogger } as const;

test("a cluster comes back with its entries, blobs and keys, into an empty folder only", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-backup-"));
  context.after(() => rm(folder, { recursive: true }));
  const [old, fresh] = [join(folder, "old"), join(folder, "new")];
  await mkdir(old);
  const files = { "secret.key": Buffer.alloc(32, 3), "admin.token": Buffer.from("bt_x\n") };
  for (const [name, content] of Object.entries(files)) await writeFile(join(old, name), content);
  await writeFile(join(old, "unknown"), "not of the cluster");
  const blobs = await openDiskBlobs(join(old, "blobs"));
  const { digest } = await blobs.add(Buffer.alloc(3 * MIB, 5));
  const written = Array.from({ length: 2_000 }, (_, index): [string, string] => [
    `default/main/task/shop/t${String(index).padStart(5, "0")}`,
    JSON.stringify({ index, filling: "ü".repeat(2_000) }),
  ]);
  const described = { dataDir: old, cluster: "c0ffee00", version: "0.1.0", now: 5 };
  const entries = (async function* () {
    yield* written;
  })();
  const sealed = await all(backupOf({ ...described, entries }, KEY));
  const expected = {
    cluster: "c0ffee00",
    version: "0.1.0",
    createdAt: 5,
    entries: 2_000,
    blobs: 1,
  };
  assert.deepEqual(await checkBackup(pieces(sealed), KEY), expected);
  const options = { ...world, dataDir: fresh, store: { url: "embedded" } };
  assert.deepEqual(await restoreBackup(pieces(sealed), KEY, options), expected);
  const { store } = await openStore({ ...world, dataDir: fresh, choice: {} });
  const found: [string, string][] = [];
  for await (const { key, value } of everything(store, await store.currentRevision())) {
    found.push([key, value]);
  }
  await store.close();
  assert.deepEqual(found, written);
  for (const [name, content] of Object.entries(files)) {
    assert.ok((await readFile(join(fresh, name))).equals(content), name);
  }
  assert.ok(await (await openDiskBlobs(join(fresh, "blobs"))).has(digest));
  await assert.rejects(readFile(join(fresh, "unknown")), /ENOENT/);
  await assert.rejects(
    restoreBackup(pieces(sealed), KEY, options),
    (error) => error instanceof ProtocolError && error.code === "conflict",
  );
});

test("a restore that ends in the middle leaves no server that starts", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-backup-"));
  context.after(() => rm(folder, { recursive: true }));
  const [old, fresh] = [join(folder, "old"), join(folder, "new")];
  await mkdir(old);
  await writeFile(join(old, "secret.key"), Buffer.alloc(32, 3));
  const described = { dataDir: old, cluster: "c0ffee00", version: "0.1.0", now: 5 };
  const entries = (async function* () {
    yield ["-/-/cluster/self", '{"id":"c0ffee00","createdAt":1}'] as const;
  })();
  const sealed = await all(backupOf({ ...described, entries }, KEY));
  const cut = sealed.subarray(0, sealed.length - 1);
  const options = { ...world, dataDir: fresh, store: { url: "embedded" } };
  await assert.rejects(restoreBackup(pieces(cut), KEY, options), refused(/./));
  await assert.rejects(readFile(join(fresh, "secret.key")), /ENOENT/);
  // Nothing was written that would keep a second try from going on.
  await restoreBackup(pieces(sealed), KEY, options);
});
