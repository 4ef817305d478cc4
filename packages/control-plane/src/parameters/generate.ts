/**
 * Values that are made up: passwords, keys, identifiers and signed tokens. Pure: chance and time are handed in.
 *
 * Every character is drawn evenly (bytes that would favour some are thrown away), so a password of n characters
 * has n × 5.95 bits. Cost: linear in the length.
 */

import { createHmac } from "node:crypto";
import type { ParameterGeneration } from "@berth/protocol";

/** Bytes that nobody can guess. */
export type Chance = (count: number) => Uint8Array;

/** Letters and digits: safe in URLs, shells, connection strings and configuration files alike. */
const PASSWORD_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** The largest multiple of the alphabet's size that a byte can count to. */
const EVEN_BYTES = 256 - (256 % PASSWORD_CHARS.length);

/** The kinds that need nothing but chance. */
export type PlainGeneration = Exclude<ParameterGeneration, { readonly kind: "jwt" }>;
export type TokenGeneration = Extract<ParameterGeneration, { readonly kind: "jwt" }>;

/** A new value. */
export function generateValue(how: PlainGeneration, chance: Chance): string {
  switch (how.kind) {
    case "password":
      return password(how.length, chance);
    case "hex":
      return Buffer.from(chance(Math.ceil(how.length / 2)))
        .toString("hex")
        .slice(0, how.length);
    case "base64":
      return Buffer.from(chance(how.length)).toString("base64");
    case "uuid":
      return uuid(chance(16));
  }
}

function password(length: number, chance: Chance): string {
  let text = "";
  while (text.length < length) {
    for (const byte of chance(length - text.length)) {
      if (byte < EVEN_BYTES) text += PASSWORD_CHARS[byte % PASSWORD_CHARS.length] ?? "";
    }
  }
  return text;
}

/** Version 4 of RFC 9562. */
function uuid(bytes: Uint8Array): string {
  const marked = Buffer.from(bytes);
  marked[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  marked[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = marked.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

/** A JSON Web Token, signed with HS256 under `key`. Claims of the wish win over `iat` and `exp`. */
export function generateToken(how: TokenGeneration, key: string, now: number): string {
  const issued = Math.floor(now / 1000);
  const claims = {
    iat: issued,
    ...(how.lifetimeSeconds === undefined ? {} : { exp: issued + how.lifetimeSeconds }),
    ...how.claims,
  };
  const signed = `${encoded({ alg: "HS256", typ: "JWT" })}.${encoded(claims)}`;
  const signature = createHmac("sha256", key).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
