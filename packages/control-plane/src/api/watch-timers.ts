/**
 * When watchers hear something: the window in which changes gather, and the heartbeat of silent streams.
 * Two timers for all streams of a server, set only while there is something to wait for.
 */

import { type CancelTimer, type Clock, SECOND_MS } from "@berth/base";

/** Changes gather for this long: nobody reads faster, and a rollout's many small ones become few. */
export const WINDOW_MS = 25;
/** What others wait for (a task for its agent, a status for the rollout) gathers only so long. */
export const URGENT_WINDOW_MS = 1;
/** A silent stream says after this long that it lives. */
export const HEARTBEAT_MS = 10 * SECOND_MS;
/** How often silence is looked for: a heartbeat comes at most this much late. */
const HEARTBEAT_CHECK_MS = 2 * SECOND_MS;

export class WatchTimers {
  readonly #clock: Clock;
  readonly #onFlush: () => void;
  readonly #onBeat: () => void;
  #cancelFlush: CancelTimer | undefined;
  #flushDue = Number.POSITIVE_INFINITY;
  #cancelBeat: CancelTimer | undefined;
  #closed = false;

  constructor(options: {
    readonly clock: Clock;
    readonly onFlush: () => void;
    readonly onBeat: () => void;
  }) {
    this.#clock = options.clock;
    this.#onFlush = options.onFlush;
    this.#onBeat = options.onBeat;
  }

  /** `onFlush` is called within `windowMs`; once, however often this was asked. */
  flushWithin(windowMs: number): void {
    const due = this.#clock.monotonic() + windowMs;
    if (due >= this.#flushDue || this.#closed) return;
    this.#cancelFlush?.();
    this.#flushDue = due;
    this.#cancelFlush = this.#clock.setTimer(windowMs, () => {
      this.#flushDue = Number.POSITIVE_INFINITY;
      this.#onFlush();
    });
  }

  /** There is a stream: `onBeat` is called once, soon; it asks again while there still is one. */
  beatSoon(): void {
    if (this.#cancelBeat !== undefined || this.#closed) return;
    this.#cancelBeat = this.#clock.setTimer(HEARTBEAT_CHECK_MS, () => {
      this.#cancelBeat = undefined;
      this.#onBeat();
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancelFlush?.();
    this.#cancelBeat?.();
  }
}
