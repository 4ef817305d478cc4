/**
 * Secrets at rest: sealed with AES-256-GCM under a key that lies apart from the store, named by a keyed
 * hash of their content.
 *
 * The store key goes into the seal, so that a sealed value cannot be moved to another name. Equal contents
 * in one place have equal versions (a redeploy changes nothing), and a version tells nothing about content
 * to whoever has the store alone. Both keys come from one secret by HKDF.
 */

import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { ProtocolError } from "@berth/protocol";

/** Bytes of the key file. */
export const SECRET_KEY_BYTES = 32;
/** GCM's own size; random, so at most about 2^32 secrets under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 128 bits: no two contents of one secret meet. */
const VERSION_HEX_CHARS = 32;

export class SecretBox {
  readonly #sealKey: Uint8Array;
  readonly #nameKey: Uint8Array;
  readonly #tokenKey: Uint8Array;
  readonly #random: (bytes: number) => Uint8Array;

  /** `key` is the content of the key file, `SECRET_KEY_BYTES` long. `random` is for simulations only. */
  constructor(key: Uint8Array, random: (bytes: number) => Uint8Array = randomBytes) {
    this.#random = random;
    if (key.length !== SECRET_KEY_BYTES) {
      throw new ProtocolError("internal", `the secret key has ${key.length} bytes, not 32`);
    }
    const derive = (purpose: string) =>
      new Uint8Array(hkdfSync("sha256", key, "", `berth ${purpose}`, SECRET_KEY_BYTES));
    this.#sealKey = derive("seal");
    this.#nameKey = derive("version");
    this.#tokenKey = derive("token");
  }

  /** Bytes that nobody can guess: what generated secrets are made of. */
  randomBytes(count: number): Uint8Array {
    return this.#random(count);
  }

  /** 32 bytes that follow from `text` and that only a server of this cluster can find. */
  keyedHash(text: string): Uint8Array {
    return createHmac("sha256", this.#tokenKey).update(text).digest();
  }

  /** The version under which `content` is kept; `place` keeps equal contents elsewhere apart. */
  versionOf(content: Uint8Array, place: string): string {
    const hash = createHmac("sha256", this.#nameKey).update(`${place}\n`).update(content);
    return hash.digest("hex").slice(0, VERSION_HEX_CHARS);
  }

  /** The value to store under `storeKey`, as JSON text. */
  seal(content: Uint8Array, storeKey: string): string {
    const nonce = this.#random(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#sealKey, nonce);
    cipher.setAAD(Buffer.from(storeKey));
    const sealed = Buffer.concat([
      nonce,
      cipher.update(content),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    return JSON.stringify({ sealed: sealed.toString("base64") });
  }

  /**
   * The content of a stored value.
   *
   * @throws ProtocolError `internal` when it was sealed under another key or store key, or is damaged.
   */
  open(value: string, storeKey: string): Uint8Array {
    try {
      const { sealed } = JSON.parse(value) as { readonly sealed: string };
      const bytes = Buffer.from(sealed, "base64");
      const decipher = createDecipheriv(
        "aes-256-gcm",
        this.#sealKey,
        bytes.subarray(0, NONCE_BYTES),
      );
      decipher.setAAD(Buffer.from(storeKey));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const content = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([content, decipher.final()]);
    } catch (error) {
      const message = "a stored secret cannot be opened: is secret.key the one that sealed it?";
      throw new ProtocolError("internal", message, { key: storeKey }, { cause: error });
    }
  }
}
