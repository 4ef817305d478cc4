/** Makes tokens: 256 random bits, so that a plain hash is enough to keep. */

import { randomBytes } from "node:crypto";

const TOKEN_BYTES = 32;

/** A token of a user or an agent. Its beginning says (to people and to scanners for leaks) what it is. */
export function newToken(): string {
  return `bt_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
}

/** A token by which one host may join: of `bytes` that nobody can guess, or of chance. */
export function newJoinToken(bytes: Uint8Array = randomBytes(TOKEN_BYTES)): string {
  return `bj_${Buffer.from(bytes).toString("base64url")}`;
}
