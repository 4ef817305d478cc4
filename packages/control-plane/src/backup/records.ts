/**
 * What is inside a cluster's backup: records one after the other, each a line of JSON that says what it is and how
 * long, and its bytes. The first is the manifest, the last the end, which counts them.
 */

import { ProtocolError } from "@berth/protocol";

export type RecordHead =
  | {
      readonly kind: "manifest";
      readonly cluster: string;
      readonly version: string;
      readonly createdAt: number;
    }
  /** Entries of the store, a line of JSON each: `[key, value]`. */
  | { readonly kind: "entries" }
  /** A small file of the data directory: keys and tokens. */
  | { readonly kind: "file"; readonly name: string }
  | { readonly kind: "blob"; readonly digest: string }
  | { readonly kind: "end"; readonly records: number };

export interface BackupRecord {
  readonly head: RecordHead;
  readonly bytes: Uint8Array;
}

/** A record of which only the length is known before. */
export interface RecordSource {
  readonly head: RecordHead;
  readonly sizeBytes: number;
  readonly bytes: AsyncIterable<Uint8Array> | Uint8Array;
}

/** Blobs are the largest. */
const RECORD_BYTES_MAX = 1024 * 1024 * 1024;
const LINE_BYTES_MAX = 64 * 1024;

/** The records as bytes. @throws ProtocolError `unavailable` when a source has another length than it said. */
export async function* writeRecords(
  records: AsyncIterable<RecordSource>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let count = 0;
  for await (const { head, sizeBytes, bytes } of records) {
    count++;
    yield line(head, sizeBytes);
    let written = 0;
    for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
      written += chunk.length;
      yield chunk;
    }
    if (written === sizeBytes) continue;
    const message = `${JSON.stringify(head)} has ${written} bytes, expected ${sizeBytes}`;
    throw new ProtocolError("unavailable", message);
  }
  yield line({ kind: "end", records: count }, 0);
}

function line(head: RecordHead, sizeBytes: number): Uint8Array {
  return Buffer.from(`${JSON.stringify({ ...head, sizeBytes })}\n`);
}

/** The records of a backup, to its end. @throws ProtocolError `invalid_request` when one is missing or broken. */
export async function* readRecords(
  plain: AsyncIterable<Uint8Array>,
): AsyncGenerator<BackupRecord, void, undefined> {
  const reader = new Reader(plain[Symbol.asyncIterator]());
  for (let count = 0; ; count++) {
    const { sizeBytes, ...head } = headOf(await reader.line());
    if (head.kind === "end") {
      if (head.records === count) return;
      throw broken(`it has ${count} records, expected ${head.records}`);
    }
    yield { head, bytes: await reader.take(sizeBytes) };
  }
}

function headOf(text: string): RecordHead & { readonly sizeBytes: number } {
  try {
    const head = JSON.parse(text) as RecordHead & { readonly sizeBytes: number };
    if (Number.isInteger(head.sizeBytes) && head.sizeBytes <= RECORD_BYTES_MAX) return head;
  } catch {
    // It says so below.
  }
  throw broken("a record has no head");
}

class Reader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source;
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(10);
      if (end >= 0) return (await this.take(end + 1)).toString().trimEnd();
      if (this.#held.length > LINE_BYTES_MAX) throw broken("a record has no head");
      this.#held = Buffer.concat([this.#held, await this.#next()]);
    }
  }

  async take(size: number): Promise<Buffer> {
    const parts = [this.#held];
    let count = this.#held.length;
    while (count < size) {
      const chunk = Buffer.from(await this.#next());
      parts.push(chunk);
      count += chunk.length;
    }
    const all = Buffer.concat(parts);
    this.#held = all.subarray(size);
    return all.subarray(0, size);
  }

  async #next(): Promise<Uint8Array> {
    const next = await this.#source.next();
    if (next.done) throw broken("it ends before its end");
    return next.value;
  }
}

function broken(why: string): ProtocolError {
  return new ProtocolError("invalid_request", `the backup cannot be read: ${why}`);
}
