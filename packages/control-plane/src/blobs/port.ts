/**
 * Blobs as a port: bytes that are named by their SHA-256. File objects, build contexts, seeds of volumes,
 * log segments and backups lie here; the store holds only their digests.
 *
 * Invariants, held for every implementation by `contract.ts`: a digest is there with all of its bytes or
 * not at all; what was acknowledged survives a crash; bytes that are read are those of the digest, or the
 * reading ends with an error.
 */

/** `sha256:` and 64 hexadecimal digits. */
export type BlobDigest = string;

export type BlobSource = Uint8Array | AsyncIterable<Uint8Array>;

export interface BlobInfo {
  readonly digest: BlobDigest;
  readonly sizeBytes: number;
  /** When it was last put, wall time in milliseconds: garbage collection spares what is young. */
  readonly modifiedMs: number;
}

export interface AddOptions {
  /** More bytes are refused as `body_too_large`; `BLOB_BYTES_MAX` by default and at most. */
  readonly bytesMax?: number;
  readonly signal?: AbortSignal;
}

/**
 * All rejections are `ProtocolError`s: `invalid_request` (ill-formed or wrong digest), `body_too_large`,
 * `storage_full`, `unavailable`, or the signal's reason. After a rejection nothing is left behind.
 */
export interface Blobs {
  /** Stores bytes and tells their digest. */
  add(bytes: BlobSource, options?: AddOptions): Promise<BlobInfo>;

  /** Stores the bytes of `digest`; harmless when it is there already, then they are still compared. */
  put(digest: BlobDigest, bytes: BlobSource, signal?: AbortSignal): Promise<void>;

  /** The bytes, once; `undefined` when there is no such blob. */
  read(digest: BlobDigest, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;

  has(digest: BlobDigest): Promise<boolean>;

  /** Whether it was there. A reading that has begun may go on or fail. */
  delete(digest: BlobDigest): Promise<boolean>;

  /** Everything that is there, in order of digest; what is put meanwhile may be missing. */
  list(): AsyncIterable<BlobInfo>;
}
