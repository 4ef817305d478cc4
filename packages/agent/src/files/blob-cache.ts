/**
 * Blobs on this node's disk, by content: fetched once, checked against their name, never changed. What lies
 * there can be used without the server.
 */

import { createHash } from "node:crypto";
import { createReadStream, type ReadStream } from "node:fs";
import { chmod, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type ApiClient, BLOB_BYTES_MAX, ProtocolError } from "@berth/protocol";

const DIGEST = /^sha256:[a-f0-9]{64}$/;

export interface BlobCacheOptions {
  readonly directory: string;
  readonly api: Pick<ApiClient, "download">;
  readonly node: string;
}

export class BlobCache {
  readonly #options: BlobCacheOptions;
  readonly #fetching = new Map<string, Promise<string>>();

  constructor(options: BlobCacheOptions) {
    this.#options = options;
  }

  /** Path of the blob's bytes; fetched if it is not here. */
  async path(digest: string, signal: AbortSignal): Promise<string> {
    const path = this.#pathOf(digest);
    if (await exists(path)) return path;
    const under = this.#fetching.get(digest);
    if (under !== undefined) return await under;
    const fetching = this.#fetch(digest, path, signal);
    this.#fetching.set(digest, fetching);
    try {
      return await fetching;
    } finally {
      this.#fetching.delete(digest);
    }
  }

  async stream(digest: string, signal: AbortSignal): Promise<ReadStream> {
    return createReadStream(await this.path(digest, signal));
  }

  #pathOf(digest: string): string {
    if (!DIGEST.test(digest)) {
      throw new ProtocolError("invalid_request", `${digest} is no digest`, { digest });
    }
    return join(this.#options.directory, digest.slice("sha256:".length));
  }

  async #fetch(digest: string, path: string, signal: AbortSignal): Promise<string> {
    const { directory, api, node } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const options = { params: { node, digest }, signal };
    const bytes = await api.download("getNodeBlob", options);
    const partial = `${path}.partial`;
    try {
      await write(partial, bytes, digest);
      await chmod(partial, 0o400);
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    return path;
  }
}

async function write(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  digest: string,
): Promise<void> {
  const hash = createHash("sha256");
  const file = await open(path, "w", 0o600);
  let sizeBytes = 0;
  try {
    for await (const chunk of bytes) {
      sizeBytes += chunk.length;
      if (sizeBytes > BLOB_BYTES_MAX) {
        const details = { digest, maximum: BLOB_BYTES_MAX };
        throw new ProtocolError("body_too_large", `blob ${digest} is over the limit`, details);
      }
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  const found = `sha256:${hash.digest("hex")}`;
  if (found === digest) return;
  const message = `blob ${digest} arrived with another content`;
  throw new ProtocolError("unavailable", message, { digest, found });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
