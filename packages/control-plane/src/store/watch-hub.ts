/**
 * Serves the watches of one store: who waits, from where, and what to show next.
 *
 * A watch is a position, not a queue: it reads the ring of recent events or, further back, the store's
 * history, so a slow consumer costs no memory and there is no seam in which an event could be lost.
 * Invariant: a watch that waits has seen everything up to the hub's revision.
 *
 * Cost: a published revision O(waiting watches × its events) comparisons of prefixes; a woken watch
 * O(events since its position). Timers: one, only while a watch is behind with its reported position.
 */

import { type CancelTimer, type Clock, SECOND_MS } from "@berth/base";
import { StoreClosed, StoreCompacted, StoreFutureRevision } from "./errors.ts";
import { EventRing, type RevisionEvents } from "./event-ring.ts";
import { checkPrefix } from "./limits.ts";
import type { Revision, WatchBatch, WatchEvent } from "./port.ts";

/** A batch gathers whole revisions up to about this many events: a consumer's turn stays short. */
export const WATCH_BATCH_EVENTS_MAX = 1_000;
/** Revisions that are looked at in one go. */
const READ_REVISIONS_MAX = 1_000;
/** An idle watch tells its position this long after others' writes: a resume never starts far back. */
export const PROGRESS_DELAY_MS = SECOND_MS;

export interface WatchHubOptions {
  readonly clock: Clock;
  readonly revision: Revision;
  readonly compactRevision: Revision;
  /**
   * Whole revisions from `from` on, which is committed and was not compacted when asked; at least one, at
   * most `revisionsMax`. Throws `StoreCompacted` when it has been compacted meanwhile.
   */
  readonly readHistory: (
    from: Revision,
    revisionsMax: number,
  ) => Promise<readonly RevisionEvents[]>;
}

interface WaitingWatch {
  readonly prefix: string;
  next: Revision;
  readonly wake: () => void;
}

export class WatchHub {
  readonly #clock: Clock;
  readonly #readHistory: WatchHubOptions["readHistory"];
  readonly #ring = new EventRing();
  readonly #waiting = new Set<WaitingWatch>();
  #revision: Revision;
  #compactRevision: Revision;
  /** Watches report their position once they have reached this. */
  #progressWanted: Revision = 0;
  #cancelProgress: CancelTimer | undefined;
  #closed: Error | undefined;

  constructor(options: WatchHubOptions) {
    this.#clock = options.clock;
    this.#revision = options.revision;
    this.#compactRevision = options.compactRevision;
    this.#readHistory = options.readHistory;
  }

  get revision(): Revision {
    return this.#revision;
  }

  get compactRevision(): Revision {
    return this.#compactRevision;
  }

  /** Shows newly committed revisions, in order, to whoever watches. */
  publish(changes: readonly RevisionEvents[]): void {
    for (const change of changes) {
      this.#ring.push(change);
      this.#revision = change.revision;
    }
    for (const watch of [...this.#waiting]) {
      if (changes.some((change) => concerns(change, watch.prefix))) this.#wake(watch);
      else watch.next = this.#revision + 1;
    }
    if (changes.length > 0 && this.#waiting.size > 0) this.#scheduleProgress();
  }

  compacted(compactRevision: Revision): void {
    this.#compactRevision = Math.max(this.#compactRevision, compactRevision);
  }

  /**
   * Goes on at `revision`, for a source that could not tell what was before: every watch that has not seen
   * it ends with `StoreCompacted`.
   */
  skipTo(revision: Revision): void {
    if (revision <= this.#revision) return;
    this.#ring.clear();
    this.#revision = revision;
    this.compacted(revision);
    for (const watch of [...this.#waiting]) this.#wake(watch);
  }

  requestProgress(): void {
    this.#cancelProgress?.();
    this.#cancelProgress = undefined;
    this.#progressWanted = this.#revision;
    for (const watch of [...this.#waiting]) this.#wake(watch);
  }

  /** Ends every watch with `reason`. */
  close(reason: Error = new StoreClosed()): void {
    this.#closed ??= reason;
    this.#cancelProgress?.();
    this.#cancelProgress = undefined;
    for (const watch of [...this.#waiting]) this.#wake(watch);
  }

  async *watch(
    prefix: string,
    fromRevision: Revision,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    checkPrefix(prefix);
    if (fromRevision > this.#revision + 1) {
      throw new StoreFutureRevision(fromRevision, this.#revision);
    }
    let next = fromRevision;
    let reported = fromRevision - 1;
    for (;;) {
      this.#throwIfOver(next, signal);
      const events: WatchEvent[] = [];
      while (next <= this.#revision && events.length < WATCH_BATCH_EVENTS_MAX) {
        const changes = await this.#read(next);
        next = collect(changes, prefix, events, next);
        // Reading history takes turns of the event loop in which much can happen.
        this.#throwIfOver(next, signal);
      }
      if (events.length > 0 || (next > this.#progressWanted && reported < this.#progressWanted)) {
        reported = next - 1;
        yield { revision: reported, events };
      } else {
        next = await this.#wait(prefix, next, signal);
      }
    }
  }

  #throwIfOver(next: Revision, signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#closed !== undefined) throw this.#closed;
    if (next <= this.#compactRevision) throw new StoreCompacted(next, this.#compactRevision);
  }

  #read(from: Revision): readonly RevisionEvents[] | Promise<readonly RevisionEvents[]> {
    const first = this.#ring.first;
    if (first !== undefined && from >= first) return this.#ring.read(from, READ_REVISIONS_MAX);
    return this.#readHistory(from, READ_REVISIONS_MAX);
  }

  /** Resolves when there is something to look at; tells from where. */
  #wait(prefix: string, next: Revision, signal: AbortSignal): Promise<Revision> {
    return new Promise((resolve) => {
      const watch: WaitingWatch = {
        prefix,
        next,
        wake: () => {
          signal.removeEventListener("abort", watch.wake);
          this.#waiting.delete(watch);
          resolve(watch.next);
        },
      };
      // Between the last look at the hub and this line no other code has run: nothing can be missed.
      this.#waiting.add(watch);
      signal.addEventListener("abort", watch.wake, { once: true });
    });
  }

  #wake(watch: WaitingWatch): void {
    watch.wake();
  }

  #scheduleProgress(): void {
    if (this.#cancelProgress !== undefined || this.#closed !== undefined) return;
    this.#cancelProgress = this.#clock.setTimer(PROGRESS_DELAY_MS, () => this.requestProgress());
  }
}

function concerns(change: RevisionEvents, prefix: string): boolean {
  return change.events.some((event) => event.key.startsWith(prefix));
}

/** Adds events under `prefix` to `into` until a batch is full; returns the next revision to look at. */
function collect(
  changes: readonly RevisionEvents[],
  prefix: string,
  into: WatchEvent[],
  from: Revision,
): Revision {
  let next = from;
  for (const change of changes) {
    if (into.length >= WATCH_BATCH_EVENTS_MAX) break;
    for (const event of change.events) if (event.key.startsWith(prefix)) into.push(event);
    next = change.revision + 1;
  }
  return next;
}
