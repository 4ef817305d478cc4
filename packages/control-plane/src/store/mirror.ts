/**
 * A copy of a part of the store in memory, kept up by one list and one watch, for any number of
 * collections: all of them show the same revision, so what is read from several is one snapshot.
 *
 * Invariants: the revision only grows within an epoch; at revision r the collections hold exactly the
 * state at r (but for entries that cannot be parsed). A lost watch goes on from where it was; when that
 * is compacted or the epoch is another, everything is listed again and only the difference is told.
 *
 * Cost: a batch O(events × collections) comparisons; a list O(entries). The loop is the Driver's.
 */

import type { Driver, Logger } from "@berth/base";
import { StoreClosed, StoreCompacted, StoreFutureRevision } from "./errors.ts";
import { LIST_LIMIT_MAX } from "./limits.ts";
import type { Revision, Store, StoredEntry, WatchEvent } from "./port.ts";

/** What is fed by a mirror. Both calls return what to tell once all are up to date. */
export interface MirrorSink {
  /**
   * The whole state, sorted by key; entries of others are among them. `newLife`: what was known before is
   * of another epoch, its revisions cannot be compared.
   */
  reset(entries: readonly StoredEntry[], newLife: boolean): () => void;
  apply(events: readonly WatchEvent[]): () => void;
}

export interface MirrorOptions {
  readonly store: Store;
  /** Runs the loop that keeps the copy up. */
  readonly driver: Driver;
  readonly log: Logger;
  /** The loop's name, unique within the driver; `mirror` by default. */
  readonly name?: string;
  /** Only keys that begin with it; all by default. */
  readonly prefix?: string;
}

interface Waiter {
  readonly revision: Revision;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Mirror {
  readonly #store: Store;
  readonly #driver: Driver;
  readonly #log: Logger;
  readonly #name: string;
  readonly #prefix: string;
  readonly #sinks: MirrorSink[] = [];
  readonly #waiters = new Set<Waiter>();
  /** Where the copy stands; `undefined` before the first list and when it has to be listed anew. */
  #position: { readonly epoch: string; readonly revision: Revision } | undefined;
  #epoch = "";
  #revision: Revision = 0;
  #state: "new" | "running" | "stopped" = "new";
  #listCount = 0;

  constructor(options: MirrorOptions) {
    this.#store = options.store;
    this.#driver = options.driver;
    this.#name = options.name ?? "mirror";
    this.#log = options.log.with({ mirror: this.#name });
    this.#prefix = options.prefix ?? "";
  }

  /** What all collections show. 0 before the first list. */
  get revision(): Revision {
    return this.#revision;
  }

  /** How often everything was listed: more than once means that watches were lost for long. */
  get listCount(): number {
    return this.#listCount;
  }

  /** Collections are added before the start, so that none of them misses the first list. */
  add(sink: MirrorSink): void {
    if (this.#state !== "new")
      throw new RangeError("a mirror's collections are added before its start");
    this.#sinks.push(sink);
  }

  /** Starts the loop at the first call; resolves once everything has been listed. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#state === "new") {
      this.#state = "running";
      this.#driver.add({
        name: this.#name,
        purpose: `keeps a copy of the store's keys below "${this.#prefix}"`,
        run: (runSignal) => this.#run(runSignal),
      });
    }
    if (this.#listCount === 0) await this.#wait(0, signal);
  }

  /** Ends the loop; what is held stays readable and grows old. Waiting calls are rejected. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    for (const waiter of [...this.#waiters])
      waiter.reject(new StoreClosed("the mirror is stopped"));
    await this.#driver.remove(this.#name);
  }

  /**
   * Resolves once the collections show `revision` or later; at once when they do. Rejects with the
   * signal's reason, `StoreClosed` when stopped, `StoreFutureRevision` when the store's life has changed
   * and `revision` is of the old one.
   */
  async waitFor(revision: Revision, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#listCount > 0 && this.#revision >= revision) return;
    await this.#wait(revision, signal);
  }

  #wait(revision: Revision, signal: AbortSignal | undefined): Promise<void> {
    if (this.#state === "stopped") throw new StoreClosed("the mirror is stopped");
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        revision,
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const onAbort = () => waiter.reject(signal?.reason);
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
      // The revision may be one that changed nothing here: then only the watch's progress tells.
      this.#store.requestProgress();
    });
  }

  /** One life of the watch. Returning means: again at once; throwing: again after the driver's back-off. */
  async #run(signal: AbortSignal): Promise<{ againMs: number }> {
    if (this.#position?.epoch !== this.#store.epoch) await this.#list(signal);
    try {
      await this.#watch(signal);
    } catch (error) {
      if (!(error instanceof StoreCompacted || error instanceof StoreFutureRevision)) throw error;
      this.#log.info("the watch's position is gone, listing again", { error: error.message });
      this.#position = undefined;
    }
    return { againMs: 0 };
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { epoch } = this.#store;
    const entries: StoredEntry[] = [];
    let page = await this.#store.list(this.#prefix, { limit: LIST_LIMIT_MAX, signal });
    const atRevision = page.revision;
    entries.push(...page.entries);
    while (page.more) {
      const after = entries.at(-1)?.key ?? "";
      page = await this.#store.list(this.#prefix, {
        limit: LIST_LIMIT_MAX,
        after,
        atRevision,
        signal,
      });
      entries.push(...page.entries);
    }
    this.#listCount++;
    const newLife = this.#epoch !== "" && this.#epoch !== epoch;
    this.#reach({ epoch, revision: atRevision }, (sink) => sink.reset(entries, newLife));
  }

  /** Returns when the store has begun another life. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { epoch, revision } = this.#position ?? { epoch: "", revision: 0 };
    const batches = this.#store.watch(this.#prefix, revision + 1, signal);
    this.#requestProgressForWaiters();
    for await (const batch of batches) {
      if (this.#store.epoch !== epoch) return;
      this.#reach({ epoch, revision: batch.revision }, (sink) => sink.apply(batch.events));
    }
  }

  #requestProgressForWaiters(): void {
    if (this.#waiters.size > 0) this.#store.requestProgress();
  }

  /** All sinks first, then who listens: a listener may read any collection. */
  #reach(
    position: { readonly epoch: string; readonly revision: Revision },
    feed: (sink: MirrorSink) => () => void,
  ): void {
    const tell = this.#sinks.map(feed);
    const newLife = this.#epoch !== "" && this.#epoch !== position.epoch;
    this.#position = position;
    this.#epoch = position.epoch;
    this.#revision = position.revision;
    for (const call of tell) call();
    for (const waiter of [...this.#waiters]) {
      if (waiter.revision <= position.revision) waiter.resolve();
      else if (newLife) {
        waiter.reject(new StoreFutureRevision(waiter.revision, position.revision));
      }
    }
  }
}
