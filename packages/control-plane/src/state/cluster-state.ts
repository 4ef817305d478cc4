/**
 * The whole cluster in memory, kept up to date from one list and one watch of the store.
 *
 * Invariants: the tables show exactly one revision at any moment that other code runs (a batch is applied
 * whole, then listeners are told); no change is missed: a broken watch goes on after the last applied
 * revision, and when that is compacted everything is listed again and the difference is told as changes.
 * Cost: O(changed) a batch; a list is O(objects), audit and idempotency entries are skipped.
 *
 * Design page: docs/design/state.md.
 */

import type { Driver, Logger, Loop } from "@berth/base";
import { parseKey } from "@berth/protocol";
import { StoreCompacted, StoreFutureRevision } from "../store/errors.ts";
import { LIST_LIMIT_MAX } from "../store/limits.ts";
import type { Store, StoredEntry, WatchEvent } from "../store/port.ts";
import {
  ClusterTables,
  type ClusterView,
  type Held,
  type HeldKind,
  UNHELD,
} from "./cluster-tables.ts";
import { decodeEntry, heldKey } from "./decode.ts";
import type { Entity } from "./entity-table.ts";

/** One object that is there, is different, or is gone (`entity` absent). */
export interface Change<K extends HeldKind = HeldKind> {
  readonly kind: K;
  readonly key: string;
  readonly revision: number;
  readonly entity?: Entity<Held[K]>;
  readonly previous?: Entity<Held[K]>;
}

/** Changes up to and including `revision`, in order. The tables show them already. */
export interface ChangeBatch {
  readonly revision: number;
  readonly changes: readonly Change[];
}

export type ChangeListener = (batch: ChangeBatch) => void;

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
}

export class ClusterState {
  /** Read by everybody, written only here. */
  readonly view: ClusterView;
  readonly #tables = new ClusterTables();
  readonly #store: Store;
  readonly #driver: Driver;
  readonly #log: Logger;
  readonly #listeners = new Set<ChangeListener>();
  #waiters: Waiter[] = [];
  /** 0 until the first list is in. */
  #revision = 0;
  #listed = false;
  #loop: Loop | undefined;
  #started: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(options: { readonly store: Store; readonly driver: Driver; readonly log: Logger }) {
    this.#store = options.store;
    this.#driver = options.driver;
    this.#log = options.log;
    this.view = this.#tables;
  }

  /** The revision that the tables show. */
  get revision(): number {
    return this.#revision;
  }

  /** The life of the store that `revision` belongs to. */
  get epoch(): string {
    return this.#store.epoch;
  }

  /** Begins to follow the store; resolves when the first list is in. */
  start(): Promise<void> {
    if (this.#started === undefined) {
      this.#started = Promise.withResolvers<void>();
      this.#loop = this.#driver.add({
        name: "cluster-state",
        purpose: "keeps the cluster in memory up to date with the store",
        run: (signal) => this.#follow(signal),
      });
    }
    return this.#started.promise;
  }

  /** Stops following. The tables stay as they are. */
  async stop(): Promise<void> {
    if (this.#loop !== undefined) await this.#driver.remove("cluster-state");
    this.#loop = undefined;
    this.#started = undefined;
  }

  /**
   * Calls `listener` after each batch, synchronously, in the order of registration. It must be quick and
   * must not throw. Returns what ends it.
   */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves as soon as the tables show `revision` or a later one; rejects when `signal` aborts. */
  waitFor(revision: number, signal?: AbortSignal): Promise<void> {
    if (this.#listed && this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        revision,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    try {
      if (!this.#listed) await this.#listAgain(signal);
      this.#started?.resolve();
      for await (const batch of this.#store.watch("", this.#revision + 1, signal)) {
        this.#apply(batch.revision, this.#changesOf(batch.events));
      }
    } catch (error) {
      if (signal.aborted) return;
      const isBehind = error instanceof StoreCompacted;
      const isOtherLife = error instanceof StoreFutureRevision;
      if (!isBehind && !isOtherLife) throw error;
      this.#log.warn("the watch cannot go on: listing again", { error });
      if (isOtherLife) this.#revision = 0;
      await this.#listAgain(signal, isOtherLife);
      this.#loop?.wake();
    }
  }

  /** Reads everything at one revision and tells the difference to what is held. */
  async #listAgain(signal: AbortSignal, isOtherLife = false): Promise<void> {
    const found = new Map<string, Pending>();
    const revision = await this.#listAll(found, signal);
    if (!isOtherLife) {
      // Revisions of one life tell what is as it was.
      for (const [key, pending] of found) {
        if (this.#holds(pending)) found.set(key, { ...pending, unchanged: true });
      }
    }
    const changes = [...found.values(), ...this.#vanished(found, revision)];
    this.#listed = true;
    this.#apply(revision, changes);
  }

  async #listAll(found: Map<string, Pending>, signal: AbortSignal): Promise<number> {
    let revision: number | undefined;
    let after: string | undefined;
    for (;;) {
      const page = await this.#store.list("", {
        limit: LIST_LIMIT_MAX,
        signal,
        ...(after === undefined ? {} : { after }),
        ...(revision === undefined ? {} : { atRevision: revision }),
      });
      revision = page.revision;
      for (const entry of page.entries) {
        const pending = this.#pendingPut(entry);
        if (pending !== undefined) found.set(entry.key, pending);
      }
      const last = page.entries.at(-1);
      if (!page.more || last === undefined) return revision;
      after = afterUnheld(last.key);
    }
  }

  #changesOf(events: readonly WatchEvent[]): Pending[] {
    return events.flatMap((event): Pending[] => {
      if (event.type === "put") {
        const pending = this.#pendingPut(event.entry);
        return pending === undefined ? [] : [pending];
      }
      const parts = heldKey(event.key);
      return parts === undefined
        ? []
        : [{ kind: parts.kind, key: event.key, revision: event.revision }];
    });
  }

  /**
   * A damaged value is said and left out; what was there before stays, because a thing must not seem
   * deleted for having been written wrongly.
   */
  #pendingPut(entry: StoredEntry): Pending | undefined {
    const parts = heldKey(entry.key);
    if (parts === undefined) return undefined;
    const { kind } = parts;
    const base = { kind, key: entry.key, revision: entry.modRevision };
    const entity = decodeEntry(parts, entry);
    if (entity !== undefined) return { ...base, entity };
    this.#log.error("a stored value is damaged", { key: entry.key, revision: entry.modRevision });
    return { ...base, unchanged: true };
  }

  #holds(pending: Pending): boolean {
    const held = this.#tables.table(pending.kind).get(pending.key);
    return held !== undefined && held.revision === pending.entity?.revision;
  }

  #vanished(found: ReadonlyMap<string, Pending>, revision: number): Pending[] {
    const gone: Pending[] = [];
    for (const kind of this.#tables.kinds()) {
      for (const { key } of this.#tables.table(kind).all()) {
        if (!found.has(key)) gone.push({ kind, key, revision });
      }
    }
    return gone;
  }

  #apply(revision: number, pending: readonly Pending[]): void {
    const changes: Change[] = [];
    for (const { kind, key, revision: at, entity, unchanged } of pending) {
      if (unchanged) continue;
      const table = this.#tables.table(kind);
      const previous = entity === undefined ? table.delete(key) : table.set(entity);
      if (entity === undefined && previous === undefined) continue;
      changes.push({
        kind,
        key,
        revision: at,
        ...(entity === undefined ? {} : { entity }),
        ...(previous === undefined ? {} : { previous }),
      });
    }
    this.#revision = Math.max(this.#revision, revision);
    if (changes.length > 0) {
      const batch = { revision: this.#revision, changes };
      for (const listener of this.#listeners) listener(batch);
    }
    this.#wakeWaiters();
  }

  #wakeWaiters(): void {
    if (this.#waiters.length === 0) return;
    const reached = this.#waiters.filter((waiter) => waiter.revision <= this.#revision);
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > this.#revision);
    for (const waiter of reached) waiter.resolve();
  }
}

/** A change before it is applied: `entity` absent means gone. */
interface Pending {
  readonly kind: HeldKind;
  readonly key: string;
  readonly revision: number;
  readonly entity?: Entity<Held[HeldKind]>;
  readonly unchanged?: true;
}

/** Where the next page begins: past all keys of a kind that is not held, of which there may be millions. */
function afterUnheld(lastKey: string): string {
  const parts = parseKey(lastKey);
  if (parts === undefined || !UNHELD.has(parts.kind)) return lastKey;
  // "~" is the greatest printable character; no name of ours begins with it.
  return `${parts.project}/${parts.environment}/${parts.kind}/~`;
}
