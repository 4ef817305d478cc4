/**
 * Which images Berth brought to this node, and when each was used last.
 *
 * What is not in the ledger is somebody else's and is never removed. It is durable, so that a restarted agent
 * still knows its own; a lost last use only makes an image older than it is, by `NOTE_MS` at most.
 */

import type { ImageRecord } from "./garbage.ts";

/** Where records are kept. */
export interface ImageLedgerStore {
  /** Everything, once, at the start. */
  read(): Iterable<ImageRecord>;
  put(record: ImageRecord): Promise<void>;
  remove(imageId: string): Promise<void>;
}

/** Uses closer to the last one noted are not written: a service of a hundred copies is one use. */
const NOTE_MS = 60_000;

export class ImageLedger {
  readonly #store: ImageLedgerStore;
  readonly #records = new Map<string, ImageRecord>();

  constructor(store: ImageLedgerStore) {
    this.#store = store;
    for (const record of store.read()) this.#records.set(record.imageId, record);
  }

  get(imageId: string): ImageRecord | undefined {
    return this.#records.get(imageId);
  }

  /** Berth pulled or built it: from now on it is ours to remove. */
  async noteOwn(imageId: string, now: number): Promise<void> {
    await this.#put({ imageId, lastUsedAt: now });
  }

  /** A container of it is made. Says nothing about whose it is: an unknown image stays unknown. */
  async noteUse(imageId: string, now: number): Promise<void> {
    const known = this.#records.get(imageId);
    if (known === undefined || now - known.lastUsedAt < NOTE_MS) return;
    await this.#put({ imageId, lastUsedAt: now });
  }

  async forget(imageId: string): Promise<void> {
    if (this.#records.delete(imageId)) await this.#store.remove(imageId);
  }

  /** Drops records of images that are not there any more. */
  async keepOnly(present: ReadonlySet<string>): Promise<void> {
    for (const imageId of [...this.#records.keys()]) {
      if (!present.has(imageId)) await this.forget(imageId);
    }
  }

  async #put(record: ImageRecord): Promise<void> {
    this.#records.set(record.imageId, record);
    await this.#store.put(record);
  }
}

/** Records in memory: for simulation and tests. */
export function memoryLedgerStore(): ImageLedgerStore {
  const records = new Map<string, ImageRecord>();
  return {
    read: () => [...records.values()],
    put: async (record) => {
      records.set(record.imageId, record);
    },
    remove: async (imageId) => {
      records.delete(imageId);
    },
  };
}
