/**
 * Sealing of secrets at rest: AES-256-GCM with a key that lies apart from the database, so that a copy of
 * the database alone says nothing. Each value is bound to its place (the task) as additional data: a
 * sealed value cannot be moved to another task.
 */

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { ProtocolError } from "@berth/protocol";

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Sealer {
  /** Base64 of nonce, tag and ciphertext. */
  seal(plain: string, place: string): string;
  /** Throws `internal` when the value was changed, moved or sealed with another key. */
  open(sealed: string, place: string): string;
}

export function sealerOf(key: Buffer): Sealer {
  return {
    seal(plain, place) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(place));
      const body = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64");
    },
    open(sealed, place) {
      const bytes = Buffer.from(sealed, "base64");
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(Buffer.from(place)).setAuthTag(tag);
        const body = bytes.subarray(NONCE_BYTES + TAG_BYTES);
        return Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8");
      } catch (cause) {
        const message = "a sealed secret cannot be opened: its key or place is another";
        throw new ProtocolError("internal", message, { place }, { cause });
      }
    },
  };
}

/** The key in `path`, made at the first call; readable by its owner only. */
export function keyFile(path: string): Buffer {
  const known = readKey(path);
  if (known !== undefined) return known;
  const made = randomBytes(KEY_BYTES);
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, made);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return made;
}

function readKey(path: string): Buffer | undefined {
  let key: Buffer;
  try {
    key = readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new ProtocolError("internal", `reading the key ${path}`, { path }, { cause: error });
  }
  const mode = statSync(path).mode & 0o777;
  if (key.length !== KEY_BYTES || (mode & 0o077) !== 0) {
    const details = { path, mode: mode.toString(8), sizeBytes: key.length };
    const message = `the key ${path} must be ${KEY_BYTES} bytes and readable by its owner only`;
    throw new ProtocolError("forbidden", message, details);
  }
  return key;
}
