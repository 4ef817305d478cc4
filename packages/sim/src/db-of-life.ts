/**
 * An agent's local database as one of its lives reaches it. A commit takes time before or after it is
 * done, so that a kill finds writes that did not happen and writes that nobody was told of.
 */

import type { Change, LocalDb, Table } from "@berth/agent/state/local-db";
import { type Prng, sleep } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import type { Disk } from "./disk.ts";
import type { Life } from "./life.ts";

export class DbOfLife implements LocalDb {
  readonly #db: LocalDb;
  readonly #disk: Disk;
  readonly #life: Life;
  readonly #prng: Prng;
  /** Settles when the commit before has been written, or refused. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly db: LocalDb;
    readonly disk: Disk;
    readonly life: Life;
    readonly prng: Prng;
  }) {
    this.#db = options.db;
    this.#disk = options.disk;
    this.#life = options.life;
    this.#prng = options.prng;
  }

  read(table: Table): ReadonlyMap<string, unknown> {
    return this.#db.read(table);
  }

  commit(changes: readonly Change[]): Promise<void> {
    return this.#life.only(async () => {
      const before = this.#last;
      const written = Promise.withResolvers<void>();
      this.#last = written.promise;
      const delayMs = this.#prng.float() * this.#disk.commitMsMax;
      const isBefore = this.#prng.chance(0.5);
      if (isBefore) await sleep(this.#life.clock, delayMs);
      // A database writes one commit after the other: none overtakes the one before it.
      await before;
      try {
        if (this.#disk.full) {
          throw new ProtocolError("storage_full", "writing the agent's database");
        }
        await this.#db.commit(changes);
      } finally {
        written.resolve();
      }
      if (!isBefore) await sleep(this.#life.clock, delayMs);
    });
  }

  async close(): Promise<void> {}
}
