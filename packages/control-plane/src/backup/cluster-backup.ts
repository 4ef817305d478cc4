/**
 * A cluster's state as one file, and back: the store at one revision, the keys and tokens beside it, and all blobs.
 *
 * A backup changes nothing and may be made while servers run. A restore goes into an empty data directory and an empty
 * store; what it makes is complete or says that it is not: the store bears a mark until all of it is there
 * (copy-store.ts), and the key of the secrets, without which no server starts, is written last.
 * Design page: docs/design/backup.md
 */

import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Logger } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { openDiskBlobs } from "../blobs/disk.ts";
import { dataPaths, makeDataDir, readIfThere, writeSecretFile } from "../server/data-dir.ts";
import { openStore, type StoreChoice } from "../server/open-store.ts";
import { copyStore } from "../store/copy-store.ts";
import { TXN_BYTES_MAX, TXN_OPERATIONS_MAX } from "../store/limits.ts";
import { MemoryStore } from "../store/memory.ts";
import type { Operation, Store } from "../store/port.ts";
import { type BackupKey, openBackup, sealBackup } from "./cipher.ts";
import { type RecordHead, type RecordSource, readRecords, writeRecords } from "./records.ts";

/** Small files of the data directory that belong to the cluster. The key of the secrets is the last. */
const CLUSTER_FILES = [
  "platform.json",
  "cluster.id",
  "admin.token",
  "agent.token",
  "secret.key",
] as const;
/** Entries of one record: some milliseconds of a disk, and never much memory. */
const ENTRIES_BYTES = 4 * 1024 * 1024;

/** An entry of the store, key and value. */
export type BackupEntry = readonly [string, string];

export interface BackupSource {
  readonly dataDir: string;
  /** Every entry of the store at one revision, but those that hang on leases. */
  readonly entries: AsyncIterable<BackupEntry>;
  readonly cluster: string;
  readonly version: string;
  readonly now: number;
}

/** The backup's bytes, sealed. */
export function backupOf(
  source: BackupSource,
  key: BackupKey,
): AsyncGenerator<Uint8Array, void, undefined> {
  return sealBackup(writeRecords(recordsOf(source)), key);
}

async function* recordsOf(source: BackupSource): AsyncGenerator<RecordSource, void, undefined> {
  const { cluster, version, now: createdAt, dataDir } = source;
  yield record({ kind: "manifest", cluster, version, createdAt }, new Uint8Array());
  let lines: string[] = [];
  let size = 0;
  const entries = () => record({ kind: "entries" }, Buffer.from(lines.join("")));
  for await (const entry of source.entries) {
    const line = `${JSON.stringify(entry)}\n`;
    lines.push(line);
    size += line.length;
    if (size < ENTRIES_BYTES) continue;
    yield entries();
    lines = [];
    size = 0;
  }
  yield entries();
  // After the store: a blob that an entry names is there before the entry.
  yield* blobsIn(join(dataPaths(dataDir).blobs, "sha256"));
  for (const name of CLUSTER_FILES) {
    const content = await readIfThere(join(dataDir, name));
    if (content !== undefined) yield record({ kind: "file", name }, content);
  }
}

/** By the files themselves: opening the folder would remove what a running server is just writing. */
async function* blobsIn(root: string): AsyncGenerator<RecordSource, void, undefined> {
  const folders = await readdir(root).catch((): string[] => []);
  for (const folder of folders.sort()) {
    for (const name of (await readdir(join(root, folder))).sort()) {
      const path = join(root, folder, name);
      const { size } = await stat(path);
      const head = { kind: "blob", digest: `sha256:${name}` } as const;
      yield { head, sizeBytes: size, bytes: createReadStream(path) };
    }
  }
}

function record(head: RecordHead, bytes: Uint8Array): RecordSource {
  return { head, sizeBytes: bytes.length, bytes };
}

export interface BackupContent {
  readonly cluster: string;
  readonly version: string;
  readonly createdAt: number;
  readonly entries: number;
  readonly blobs: number;
}

/** Reads all of a backup and changes nothing. @throws ProtocolError `invalid_request` unless it is whole. */
export async function checkBackup(
  sealed: AsyncIterable<Uint8Array>,
  key: BackupKey,
): Promise<BackupContent> {
  return await readBackup(sealed, key, {
    entries: async () => {},
    blob: async () => {},
    file: async () => {},
  });
}

interface BackupTaker {
  readonly entries: (entries: readonly BackupEntry[]) => Promise<void>;
  readonly blob: (digest: string, bytes: Uint8Array) => Promise<void>;
  readonly file: (name: string, content: Uint8Array) => Promise<void>;
}

async function readBackup(
  sealed: AsyncIterable<Uint8Array>,
  key: BackupKey,
  taker: BackupTaker,
): Promise<BackupContent> {
  let manifest: Extract<RecordHead, { readonly kind: "manifest" }> | undefined;
  let [entries, blobs] = [0, 0];
  for await (const { head, bytes } of readRecords(openBackup(sealed, key))) {
    if (head.kind === "manifest") manifest = head;
    else if (head.kind === "entries") {
      const lines = Buffer.from(bytes)
        .toString()
        .split("\n")
        .filter((line) => line !== "");
      await taker.entries(lines.map((line) => JSON.parse(line) as BackupEntry));
      entries += lines.length;
    } else if (head.kind === "blob") {
      await taker.blob(head.digest, bytes);
      blobs++;
    } else if (head.kind === "file") await taker.file(head.name, bytes);
  }
  if (manifest === undefined)
    throw new ProtocolError("invalid_request", "the backup says not what it is of");
  const { cluster, version, createdAt } = manifest;
  return { cluster, version, createdAt, entries, blobs };
}

export interface RestoreOptions {
  readonly dataDir: string;
  /** Where the state is to lie; it has to be empty. */
  readonly store: StoreChoice;
  readonly clock: Clock;
  readonly log: Logger;
  readonly workerUrl?: URL;
  /** What becomes of a file; as it is by default. */
  readonly changed?: (name: string, content: Uint8Array) => Uint8Array;
  readonly signal?: AbortSignal;
}

/**
 * Makes a server's data directory from a backup.
 *
 * @throws ProtocolError `conflict` when there is a cluster in the directory; as `checkBackup`, then something may have
 * been written, and no server starts on it.
 */
export async function restoreBackup(
  sealed: AsyncIterable<Uint8Array>,
  key: BackupKey,
  options: RestoreOptions,
): Promise<BackupContent> {
  const { dataDir, clock, changed = (_name, content) => content, signal } = options;
  await refuseUsed(dataDir);
  await makeDataDir(dataDir);
  const blobs = await openDiskBlobs(dataPaths(dataDir).blobs);
  const read = new MemoryStore({ clock });
  const files = new Map<string, Uint8Array>();
  const content = await readBackup(sealed, key, {
    entries: (entries) => putAll(read, entries),
    blob: (digest, bytes) => blobs.put(digest, bytes, signal),
    file: async (name, bytes) => {
      files.set(name, bytes);
    },
  });
  const { store } = await openStore({ ...options, choice: options.store });
  try {
    await copyStore(read, store, signal);
  } finally {
    await store.close();
    await read.close();
  }
  for (const name of CLUSTER_FILES) {
    const bytes = files.get(name);
    if (bytes !== undefined) await writeSecretFile(join(dataDir, name), changed(name, bytes));
  }
  return content;
}

/** Nothing of a cluster may lie there: what is restored would be mixed with it. */
async function refuseUsed(dataDir: string): Promise<void> {
  const found = await readdir(dataDir).catch((): string[] => []);
  const ours = ["state.db", "identity.json", ...CLUSTER_FILES].filter((name) =>
    found.includes(name),
  );
  const isFolder = await stat(dataDir).then(
    (about) => about.isDirectory(),
    () => true,
  );
  if (ours.length === 0 && isFolder) return;
  const message = `${dataDir} has ${ours.join(", ")}: a restore goes into an empty folder; stop Berth and move it aside`;
  throw new ProtocolError("conflict", message, { dataDir, found: ours });
}

async function putAll(store: Store, entries: readonly BackupEntry[]): Promise<void> {
  let puts: Operation[] = [];
  let bytes = 0;
  for (const [key, value] of entries) {
    const size = key.length + Buffer.byteLength(value);
    if (puts.length >= TXN_OPERATIONS_MAX || bytes + size > TXN_BYTES_MAX) {
      await store.txn({ compare: [], then: puts });
      [puts, bytes] = [[], 0];
    }
    puts.push({ kind: "put", key, value });
    bytes += size;
  }
  if (puts.length > 0) await store.txn({ compare: [], then: puts });
}
