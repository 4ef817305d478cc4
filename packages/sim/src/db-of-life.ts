/**
 * An agent's local database as one of its lives reaches it. A commit takes time before or after it is
 * done, so that a kill finds writes that did not happen and writes that nobody was told of.
 */

import type { Change, LocalDb, Table } from "@berth/agent/state/local-db";
import { type Prng, sleep } from "@berth/base";
import type { Life } from "./life.ts";

/** What a durable write takes on a slow disk. */
const COMMIT_MS_MAX = 8;

export class DbOfLife implements LocalDb {
  readonly #db: LocalDb;
  readonly #life: Life;
  readonly #prng: Prng;

  constructor(db: LocalDb, life: Life, prng: Prng) {
    this.#db = db;
    this.#life = life;
    this.#prng = prng;
  }

  read(table: Table): ReadonlyMap<string, unknown> {
    return this.#db.read(table);
  }

  commit(changes: readonly Change[]): Promise<void> {
    return this.#life.only(async () => {
      const delayMs = this.#prng.float() * COMMIT_MS_MAX;
      const isBefore = this.#prng.chance(0.5);
      if (isBefore) await sleep(this.#life.clock, delayMs);
      await this.#db.commit(changes);
      if (!isBefore) await sleep(this.#life.clock, delayMs);
    });
  }

  async close(): Promise<void> {}
}
