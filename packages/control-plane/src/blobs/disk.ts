/**
 * Blobs as files of one directory that one server owns: `sha256/ab/abcd...`, and `partial/` for what is
 * being written.
 *
 * A blob is written under a name of its own, synced, and renamed to its digest once all bytes are there
 * and right; so a crash at any point leaves no digest with other bytes. What lies in `partial/` is removed
 * when the directory is opened. Bytes are hashed again as they are read: a damaged disk shows.
 *
 * Cost: O(size); one file and two fsyncs a put. Never on the event loop but for the hashing.
 */

import { randomUUID } from "node:crypto";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  unlink,
  utimes,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { KIB } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { checkDigest, DigestMeter, metered, requireDigest } from "./digest.ts";
import type { AddOptions, BlobDigest, BlobInfo, BlobSource, Blobs } from "./port.ts";

/** Bytes of one read: few calls, and a small share of memory for many readers at once. */
const READ_BYTES = 256 * KIB;
const PREFIX = "sha256:";

/** Opens the directory, making it if it is missing; removes what a crash left half written. */
export async function openDiskBlobs(root: string): Promise<Blobs> {
  await rm(join(root, "partial"), { recursive: true, force: true });
  await mkdir(join(root, "partial"), { recursive: true });
  await mkdir(join(root, "sha256"), { recursive: true });
  return new DiskBlobs(root);
}

class DiskBlobs implements Blobs {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  add(bytes: BlobSource, options: AddOptions = {}): Promise<BlobInfo> {
    return this.#write(bytes, options, undefined);
  }

  async put(digest: BlobDigest, bytes: BlobSource, signal?: AbortSignal): Promise<void> {
    checkDigest(digest);
    await this.#write(bytes, signal === undefined ? {} : { signal }, digest);
  }

  async read(
    digest: BlobDigest,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    signal?.throwIfAborted();
    if (!(await this.has(digest))) return undefined;
    return this.#verified(digest, signal);
  }

  async has(digest: BlobDigest): Promise<boolean> {
    checkDigest(digest);
    return (await infoOf(this.#path(digest), digest)) !== undefined;
  }

  async delete(digest: BlobDigest): Promise<boolean> {
    checkDigest(digest);
    try {
      await unlink(this.#path(digest));
      return true;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      throw diskError(error, "deleting a blob");
    }
  }

  async *list(): AsyncGenerator<BlobInfo> {
    const root = join(this.#root, "sha256");
    for (const folder of (await readdir(root)).sort()) {
      for (const name of (await readdir(join(root, folder))).sort()) {
        const info = await infoOf(join(root, folder, name), PREFIX + name);
        if (info !== undefined) yield info;
      }
    }
  }

  async #write(
    bytes: BlobSource,
    options: AddOptions,
    expected: BlobDigest | undefined,
  ): Promise<BlobInfo> {
    const partial = join(this.#root, "partial", randomUUID());
    const meter = new DigestMeter();
    try {
      await writeSynced(partial, metered(bytes, meter, options));
      const digest = meter.digest();
      if (expected !== undefined) requireDigest(expected, digest);
      return await this.#keep(partial, digest);
    } catch (error) {
      await rm(partial, { force: true });
      throw diskError(error, "writing a blob");
    }
  }

  /** The rename is what makes the blob exist; it counts once the directory is on the disk. */
  async #keep(partial: string, digest: BlobDigest): Promise<BlobInfo> {
    const path = this.#path(digest);
    if ((await infoOf(path, digest)) === undefined) {
      if ((await mkdir(dirname(path), { recursive: true })) !== undefined) {
        await syncDirectory(join(this.#root, "sha256"));
      }
      await rename(partial, path);
      await syncDirectory(dirname(path));
    } else {
      // Put again: it is young again, so that garbage collection spares it for its new user.
      await rm(partial);
      const now = new Date();
      await utimes(path, now, now);
    }
    const info = await infoOf(path, digest);
    if (info !== undefined) return info;
    throw new ProtocolError("unavailable", `${digest} was deleted while it was put`, { digest });
  }

  async *#verified(
    digest: BlobDigest,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const meter = new DigestMeter();
    const file = await openBlob(this.#path(digest), digest);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES));
        if (bytesRead === 0) break;
        const bytes = buffer.subarray(0, bytesRead);
        meter.update(bytes);
        yield bytes;
      }
    } finally {
      await file.close();
    }
    const found = meter.digest();
    if (found === digest) return;
    throw new ProtocolError("internal", `the blob ${digest} is damaged on disk`, { digest, found });
  }

  #path(digest: BlobDigest): string {
    const name = digest.slice(PREFIX.length);
    return join(this.#root, "sha256", name.slice(0, 2), name);
  }
}

async function writeSynced(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    for await (const piece of bytes) await writeAll(file, piece);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** One `write` may take only a part. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.byteLength; ) {
    offset += (await file.write(bytes, offset)).bytesWritten;
  }
}

async function openBlob(path: string, digest: BlobDigest): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw diskError(error, "reading a blob");
    throw new ProtocolError("not_found", `the blob ${digest} was deleted`, { digest });
  }
}

async function infoOf(path: string, digest: BlobDigest): Promise<BlobInfo | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { digest, sizeBytes: size, modifiedMs: mtimeMs };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw diskError(error, "looking for a blob");
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** What the disk refused, as an error with a code; others pass, also those of the bytes' source. */
function diskError(error: unknown, doing: string): unknown {
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  const full = codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT";
  const message = `${doing} failed: ${error.message}`;
  return new ProtocolError(full ? "storage_full" : "unavailable", message, {}, { cause: error });
}
