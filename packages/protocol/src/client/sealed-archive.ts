/**
 * An archive with its checksum behind it, so that a copy is whole or known to be not: what moves volumes between
 * nodes, and backups between servers and files.
 *
 * The seal is a line of fixed length after the last byte. The reader holds back as many bytes as it is long, and
 * fails before it hands out the archive's end when the seal is missing or says something else.
 */

import { createHash } from "node:crypto";
import { ProtocolError } from "../errors.ts";

const PREFIX = "\nsha256:";
const SEAL_BYTES = PREFIX.length + 64 + 1;

export interface SealedContent {
  readonly bytes: number;
  readonly digest: string;
}

/** `archive` with its seal. */
export async function* sealedArchive(
  archive: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash("sha256");
  for await (const chunk of archive) {
    hash.update(chunk);
    yield chunk;
  }
  yield Buffer.from(`${PREFIX}${hash.digest("hex")}\n`);
}

/**
 * The archive without its seal; `onEnd` is told what it was when all of it came as it was sent.
 *
 * @throws ProtocolError `unavailable` when it was cut off or changed on the way: it may be read again.
 */
export async function* unsealedArchive(
  sealed: AsyncIterable<Uint8Array>,
  onEnd: (content: SealedContent) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash("sha256");
  let held: Buffer = Buffer.alloc(0);
  let bytes = 0;
  for await (const chunk of sealed) {
    const all = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk]);
    const free = all.length - SEAL_BYTES;
    held = all.subarray(Math.max(0, free));
    if (free <= 0) continue;
    const content = all.subarray(0, free);
    bytes += content.length;
    hash.update(content);
    yield content;
  }
  const seal = held.toString("latin1");
  const digest = `sha256:${hash.digest("hex")}`;
  if (seal === `\n${digest}\n`) return onEnd({ bytes, digest });
  const isSeal = seal.startsWith(PREFIX) && seal.length === SEAL_BYTES;
  const message = isSeal
    ? `the archive arrived with another content: ${digest}, not ${seal.trim()}`
    : `the archive was cut off after ${bytes + held.length} bytes`;
  throw new ProtocolError("unavailable", message, { bytes, digest });
}
