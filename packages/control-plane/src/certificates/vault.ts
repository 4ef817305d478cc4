/**
 * Private keys in the store: sealed under their own key of the store, each content written once under a
 * name of its own. Nothing opened is kept, logged or answered but to whom it is for.
 */

import { ProtocolError } from "@berth/protocol";
import type { SecretBox } from "../api/secret-box.ts";
import type { Operation, Store } from "../store/port.ts";

export class Vault {
  readonly #box: SecretBox;
  readonly #store: Store;

  constructor(options: { readonly box: SecretBox; readonly store: Store }) {
    this.#box = options.box;
    this.#store = options.store;
  }

  /** The name of `content` at `place`: equal contents have equal versions, and it tells nothing. */
  versionOf(content: string, place: string): string {
    return this.#box.versionOf(Buffer.from(content), place);
  }

  /** What writes `content` under `key`, for a transaction of the caller. */
  put(key: string, content: string): Operation {
    return { kind: "put", key, value: this.#box.seal(Buffer.from(content), key) };
  }

  /** The content under `key`; `undefined` when there is none. Throws `internal` when it cannot be opened. */
  async find(key: string, signal?: AbortSignal): Promise<string | undefined> {
    const { entry } = await this.#store.get(key, signal === undefined ? {} : { signal });
    return entry && Buffer.from(this.#box.open(entry.value, key)).toString("utf8");
  }

  /** As `find`, where there must be one. */
  async open(key: string, signal?: AbortSignal): Promise<string> {
    const content = await this.find(key, signal);
    if (content !== undefined) return content;
    throw new ProtocolError("internal", "a private key that is referred to is missing", { key });
  }
}
