/**
 * The envelope of a cluster's backup: everything inside is encrypted and authenticated, and a file that was cut off
 * or changed anywhere is refused.
 *
 * A line of JSON (how the key is made), then pieces of at most `PIECE_BYTES`, each under AES-256-GCM with a nonce of
 * its number and whether it is the last one, and the line as associated data. So no piece can be left out, repeated,
 * reordered or moved to another backup. The key comes of a passphrase by scrypt, or of a key file by HKDF; each backup
 * has a salt of its own, so no nonce is used twice under one key.
 * Design page: docs/design/backup.md
 */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from "node:crypto";
import { ProtocolError } from "@berth/protocol";

/** What opens a backup. There is no default. */
export type BackupKey =
  | { readonly kind: "passphrase"; readonly passphrase: string }
  /** At least 32 bytes that nobody can guess. */
  | { readonly kind: "key-file"; readonly content: Uint8Array };

const FORMAT = "berth-backup/1";
const PIECE_BYTES = 1024 * 1024;
const TAG_BYTES = 16;
const SALT_BYTES = 32;
const KEY_BYTES = 32;
const HEAD_BYTES_MAX = 4_096;
/** 128 MiB and about half a second: what guesses cost, too. */
const SCRYPT = { N: 131_072, r: 8, p: 1 } as const;
const SCRYPT_MEMORY_MAX = 256 * 1024 * 1024;
/** Shorter ones are guessed. */
export const PASSPHRASE_CHARS_MIN = 12;
export const KEY_FILE_BYTES_MIN = 32;

interface Head {
  readonly format: string;
  readonly key: BackupKey["kind"];
  readonly salt: string;
}

/** @throws ProtocolError `invalid_request` for a key that is too weak to be one. */
export function checkKey(key: BackupKey): void {
  if (key.kind === "passphrase" && key.passphrase.length < PASSPHRASE_CHARS_MIN) {
    const message = `the passphrase has ${key.passphrase.length} characters, expected ${PASSPHRASE_CHARS_MIN} or more`;
    throw new ProtocolError("invalid_request", message);
  }
  if (key.kind === "key-file" && key.content.length < KEY_FILE_BYTES_MIN) {
    const message = `the key file has ${key.content.length} bytes, expected ${KEY_FILE_BYTES_MIN} or more: head -c 32 /dev/urandom makes one`;
    throw new ProtocolError("invalid_request", message);
  }
}

/** `plain` in its envelope. */
export async function* sealBackup(
  plain: AsyncIterable<Uint8Array>,
  key: BackupKey,
): AsyncGenerator<Uint8Array, void, undefined> {
  checkKey(key);
  const salt = randomBytes(SALT_BYTES);
  const head: Head = { format: FORMAT, key: key.kind, salt: salt.toString("base64") };
  const line = Buffer.from(`${JSON.stringify(head)}\n`);
  yield line;
  const secret = await secretOf(key, salt);
  const seal = (number: number, isLast: boolean, bytes: Uint8Array) => {
    const cipher = createCipheriv("aes-256-gcm", secret, nonceOf(number, isLast));
    cipher.setAAD(line);
    return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  };
  let number = 0;
  for await (const { bytes, isLast } of pieces(plain, PIECE_BYTES)) {
    yield seal(number++, isLast, bytes);
  }
}

/**
 * What was sealed.
 *
 * @throws ProtocolError `invalid_request` for another key, another file, or one that is not whole; what was handed out
 * before is right, but may not be all.
 */
export async function* openBackup(
  sealed: AsyncIterable<Uint8Array>,
  key: BackupKey,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = sealed[Symbol.asyncIterator]();
  const { line, rest } = await headLine(source);
  const head = headOf(line);
  if (head.key !== key.kind) {
    const [made, given] = [wordsOf(head.key), wordsOf(key.kind)];
    throw unreadable(`the backup was made with ${made}, not with ${given}`);
  }
  const secret = await secretOf(key, Buffer.from(head.salt, "base64"));
  const open = (number: number, isLast: boolean, bytes: Buffer) => {
    if (bytes.length < TAG_BYTES) throw unreadable("the backup is cut off");
    const decipher = createDecipheriv("aes-256-gcm", secret, nonceOf(number, isLast));
    decipher.setAAD(line);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      const plain = decipher.update(bytes.subarray(0, -TAG_BYTES));
      return Buffer.concat([plain, decipher.final()]);
    } catch (cause) {
      const why =
        number === 0
          ? "the key is another one, or the file was changed"
          : "the backup was changed or cut off";
      throw unreadable(`${why} (piece ${number + 1})`, cause);
    }
  };
  let number = 0;
  for await (const { bytes, isLast } of pieces(following(rest, source), PIECE_BYTES + TAG_BYTES)) {
    yield open(number++, isLast, bytes);
  }
}

function wordsOf(kind: string): string {
  return kind === "passphrase" ? "a passphrase" : "a key file";
}

async function secretOf(key: BackupKey, salt: Uint8Array): Promise<Uint8Array> {
  if (key.kind === "key-file") {
    return new Uint8Array(hkdfSync("sha256", key.content, salt, FORMAT, KEY_BYTES));
  }
  const options = { ...SCRYPT, maxmem: SCRYPT_MEMORY_MAX };
  return new Promise((resolve, reject) => {
    scrypt(key.passphrase.normalize("NFC"), salt, KEY_BYTES, options, (error, secret) => {
      if (error === null) resolve(secret);
      else reject(error);
    });
  });
}

/** 96 bits: the number of the piece, and whether it is the last. */
function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(number), 0);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** The source cut into pieces of one size; the last one is shorter, and may be empty. */
async function* pieces(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }, void, undefined> {
  let held: Buffer[] = [];
  let count = 0;
  for await (const chunk of source) {
    held.push(Buffer.from(chunk));
    count += chunk.length;
    // One byte more than a piece: else it could be the last.
    if (count <= size) continue;
    let all = Buffer.concat(held);
    for (; all.length > size; all = all.subarray(size)) {
      yield { bytes: all.subarray(0, size), isLast: false };
    }
    held = [all];
    count = all.length;
  }
  yield { bytes: Buffer.concat(held), isLast: true };
}

async function headLine(source: AsyncIterator<Uint8Array>) {
  let all: Buffer = Buffer.alloc(0);
  for (;;) {
    const end = all.indexOf(10);
    if (end >= 0) return { line: all.subarray(0, end + 1), rest: all.subarray(end + 1) };
    const next = all.length > HEAD_BYTES_MAX ? undefined : await source.next();
    if (next === undefined || next.done) throw unreadable("the file is no backup of a cluster");
    all = Buffer.concat([all, next.value]);
  }
}

function headOf(line: Buffer): Head {
  let head: Partial<Head> = {};
  try {
    head = JSON.parse(line.toString()) as Partial<Head>;
  } catch {
    // It says so below.
  }
  const { format, key, salt } = head ?? {};
  if (typeof format !== "string" || !format.startsWith("berth-backup/")) {
    throw unreadable("the file is no backup of a cluster");
  }
  if (format !== FORMAT || key === undefined || salt === undefined) {
    throw unreadable(`the backup has format ${format}, this version reads ${FORMAT}`);
  }
  return { format, key, salt };
}

async function* following(
  first: Uint8Array,
  source: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield first;
  for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
}

function unreadable(message: string, cause?: unknown): ProtocolError {
  return new ProtocolError("invalid_request", message, {}, { cause });
}
