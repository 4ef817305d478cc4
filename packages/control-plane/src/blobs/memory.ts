/** Blobs in memory: for tests and simulation. */

import type { Clock } from "@berth/base";
import { checkDigest, DigestMeter, metered, requireDigest } from "./digest.ts";
import type { AddOptions, BlobDigest, BlobInfo, BlobSource, Blobs } from "./port.ts";

export class MemoryBlobs implements Blobs {
  readonly #clock: Clock;
  readonly #blobs = new Map<
    BlobDigest,
    { readonly bytes: Uint8Array; readonly modifiedMs: number }
  >();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async add(bytes: BlobSource, options: AddOptions = {}): Promise<BlobInfo> {
    const meter = new DigestMeter();
    const pieces = await Array.fromAsync(metered(bytes, meter, options));
    const digest = meter.digest();
    this.#keep(digest, pieces);
    return { digest, sizeBytes: meter.sizeBytes, modifiedMs: this.#clock.now() };
  }

  async put(digest: BlobDigest, bytes: BlobSource, signal?: AbortSignal): Promise<void> {
    checkDigest(digest);
    const meter = new DigestMeter();
    const pieces = await Array.fromAsync(metered(bytes, meter, { signal }));
    requireDigest(digest, meter.digest());
    this.#keep(digest, pieces);
  }

  async read(
    digest: BlobDigest,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    checkDigest(digest);
    signal?.throwIfAborted();
    const blob = this.#blobs.get(digest);
    return blob === undefined ? undefined : onePiece(blob.bytes);
  }

  async has(digest: BlobDigest): Promise<boolean> {
    checkDigest(digest);
    return this.#blobs.has(digest);
  }

  async delete(digest: BlobDigest): Promise<boolean> {
    checkDigest(digest);
    return this.#blobs.delete(digest);
  }

  async *list(): AsyncGenerator<BlobInfo> {
    for (const digest of [...this.#blobs.keys()].sort()) {
      const blob = this.#blobs.get(digest);
      if (blob === undefined) continue;
      yield { digest, sizeBytes: blob.bytes.byteLength, modifiedMs: blob.modifiedMs };
    }
  }

  #keep(digest: BlobDigest, pieces: readonly Uint8Array[]): void {
    this.#blobs.set(digest, { bytes: Buffer.concat(pieces), modifiedMs: this.#clock.now() });
  }
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}
