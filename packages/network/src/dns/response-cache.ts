/**
 * Answers of forwarders, kept for as long as they allow: bounded in number and bytes, the one that was not
 * used for longest goes first. Cost: O(1) a look-up and an insertion.
 */

import type { CheckedResponse } from "./response.ts";

/** Names that containers of one node ask for again and again: far fewer in practice. */
const ENTRIES_MAX = 8_192;
/** `net` is to stay below 70 MB in all. */
const BYTES_MAX = 4 * 1024 * 1024;
/** Objects and map entries around each message, roughly. */
const OVERHEAD_BYTES = 400;

interface Entry {
  readonly response: CheckedResponse;
  readonly storedMs: number;
  readonly sizeBytes: number;
}

export class ResponseCache {
  readonly #entries = new Map<string, Entry>();
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** The answer and its age in whole seconds, or `undefined` when there is none that is still good. */
  get(key: string, nowMs: number): { response: CheckedResponse; ageS: number } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageS = Math.floor((nowMs - entry.storedMs) / 1_000);
    this.#remove(key, entry);
    if (ageS >= entry.response.keepS) return undefined;
    // Back in at the end: a Map keeps the order of insertion, which is thus the order of use.
    this.#insert(key, entry);
    return { response: entry.response, ageS };
  }

  /** Keeps `response` unless it forbids that (`keepS` is 0). */
  put(key: string, response: CheckedResponse, nowMs: number): void {
    const old = this.#entries.get(key);
    if (old !== undefined) this.#remove(key, old);
    if (response.keepS <= 0) return;
    const sizeBytes = response.message.length + key.length + OVERHEAD_BYTES;
    this.#insert(key, { response, storedMs: nowMs, sizeBytes });
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= ENTRIES_MAX && this.#sizeBytes <= BYTES_MAX) break;
      this.#remove(oldest, entry);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#sizeBytes = 0;
  }

  #insert(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#sizeBytes += entry.sizeBytes;
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#sizeBytes -= entry.sizeBytes;
  }
}
