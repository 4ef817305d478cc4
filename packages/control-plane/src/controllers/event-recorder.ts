/**
 * Writes events for people: bounded, deduplicated, never in the way of what they tell about.
 *
 * The same event again within a while is dropped; a full queue drops the oldest. Events are told from
 * changes of the state (`events-of-change.ts`), so whichever server leads tells them once.
 */

import { type Clock, type Driver, type Logger, type Loop, MINUTE_MS } from "@berth/base";
import { keys } from "@berth/protocol";
import type { ChangeBatch, ClusterState } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import type { Compare, Operation, Store } from "../store/port.ts";
import { type EventDraft, eventsOfChange } from "./events-of-change.ts";

/** Waiting events; more than a burst of a whole cluster's tasks is noise. */
const QUEUE_MAX = 1_000;
/** Of one transaction: keys of 100 events are far from its limits. */
const BATCH_MAX = 100;
/** The same words about the same thing are said once in this time. */
const REPEAT_AFTER_MS = MINUTE_MS;
/** Remembered for deduplication; older ones are forgotten first. */
const REMEMBERED_MAX = 2_000;
/** Events of a burst go out together. */
const GATHER_MS = 50;

export interface EventRecorderOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  readonly newId: () => string;
  /** Conditions under which this server still leads. */
  readonly leadership: () => readonly Compare[];
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  #queue: EventDraft[] = [];
  /** What was said, in order of when it was said last. */
  readonly #said = new Map<string, number>();
  #dropped = 0;
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#endListening = this.#options.state.onChange((batch) => this.#onChange(batch));
    this.#loop = this.#options.driver.add({
      name: "events",
      purpose: "writes what happened, for people",
      gatherMs: GATHER_MS,
      run: (signal) => this.#flush(signal),
    });
  }

  async stop(): Promise<void> {
    this.#endListening?.();
    await this.#options.driver.remove("events");
  }

  /** Says something; the same thing again within a minute is not said. */
  record(draft: EventDraft): void {
    const words = JSON.stringify(draft);
    const now = this.#options.clock.monotonic();
    const last = this.#said.get(words);
    if (last !== undefined && now - last < REPEAT_AFTER_MS) return;
    this.#said.delete(words);
    this.#said.set(words, now);
    const [oldest] = this.#said.keys();
    if (this.#said.size > REMEMBERED_MAX && oldest !== undefined) this.#said.delete(oldest);
    if (this.#queue.length >= QUEUE_MAX) {
      this.#queue.shift();
      this.#dropped++;
    }
    this.#queue.push(draft);
    this.#loop?.wake();
  }

  #onChange(batch: ChangeBatch): void {
    for (const change of batch.changes) {
      for (const draft of eventsOfChange(change, this.#options.state.view)) this.record(draft);
    }
  }

  async #flush(signal: AbortSignal): Promise<void> {
    const { store, clock, log, newId, leadership } = this.#options;
    if (this.#dropped > 0) log.warn("events were dropped", { dropped: this.#dropped });
    this.#dropped = 0;
    while (this.#queue.length > 0 && !signal.aborted) {
      const drafts = this.#queue.slice(0, BATCH_MAX);
      const at = clock.now();
      const then = drafts.map((draft): Operation => {
        // In order of time as text, so that key order is the order in which people read.
        const id = `${at.toString(36).padStart(9, "0")}${newId()}`;
        const key = keys.event(draft.project, draft.environment, id);
        return { kind: "put", key, value: encode({ ...draft, id, at }) };
      });
      await store.txn({ compare: leadership(), then }, { signal });
      this.#queue = this.#queue.slice(drafts.length);
    }
  }
}
