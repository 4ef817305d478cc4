/**
 * The name of a blob: checking one that came from outside, and finding that of bytes as they pass.
 */

import { createHash } from "node:crypto";
import { ProtocolError } from "@berth/protocol";
import { BLOB_BYTES_MAX } from "@berth/protocol/api/route";
import type { BlobDigest, BlobSource } from "./port.ts";

const DIGEST_PATTERN = /^sha256:[a-f0-9]{64}$/;

/** Throws `invalid_request` unless `digest` is well formed; hence it can be part of a path. */
export function checkDigest(digest: string): void {
  if (DIGEST_PATTERN.test(digest)) return;
  throw new ProtocolError("invalid_request", "a digest is sha256: and 64 hexadecimal digits", {
    digest,
  });
}

/** Counts and hashes bytes on their way. */
export class DigestMeter {
  readonly #hash = createHash("sha256");
  sizeBytes = 0;

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.sizeBytes += bytes.byteLength;
  }

  /** Of all bytes so far; the meter is spent then. */
  digest(): BlobDigest {
    return `sha256:${this.#hash.digest("hex")}`;
  }
}

/**
 * Passes `source` on piece by piece and lets `meter` see it. Throws `body_too_large` before a piece that
 * is over the limit, or the signal's reason.
 */
export async function* metered(
  source: BlobSource,
  meter: DigestMeter,
  options: { readonly bytesMax?: number; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const limitBytes = Math.min(options.bytesMax ?? BLOB_BYTES_MAX, BLOB_BYTES_MAX);
  for await (const bytes of source instanceof Uint8Array ? [source] : source) {
    options.signal?.throwIfAborted();
    meter.update(bytes);
    if (meter.sizeBytes > limitBytes) {
      const message = `the blob is over its limit of ${limitBytes} bytes`;
      throw new ProtocolError("body_too_large", message, { limitBytes });
    }
    yield bytes;
  }
  options.signal?.throwIfAborted();
}

/** Throws `invalid_request` when bytes that were to be `expected` are `found`. */
export function requireDigest(expected: BlobDigest, found: BlobDigest): void {
  if (expected === found) return;
  const message = `the bytes have the digest ${found}, not ${expected}`;
  throw new ProtocolError("invalid_request", message, { expected, found });
}
