/**
 * Time as a port: all waiting and all reading of clocks goes through a `Clock`, so that a whole cluster
 * runs in one process on a virtual clock (`@berth/sim`).
 *
 * Invariants: `now` is wall time and may jump; `monotonic` never goes back and counts suspended time
 * where the system can tell (boot-time clock). Durations and deadlines are computed from `monotonic`,
 * what people read from `now`.
 */

/** Cancels a timer; harmless when it has fired. */
export type CancelTimer = () => void;

export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. May jump in both directions. */
  now(): number;
  /** Milliseconds since an arbitrary start of this process's life. Never goes back. */
  monotonic(): number;
  /** Calls `fire` once after `delayMs` (0 or more). The timer alone does not keep a process alive. */
  setTimer(delayMs: number, fire: () => void): CancelTimer;
}

/** The longest delay that one timer takes: Node wraps longer ones to 1 ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, Math.min(Math.max(0, delayMs), TIMER_MS_MAX));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason as soon as `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** A clock that stands still until it is told to move: for tests and simulation. */
export class ManualClock implements Clock {
  readonly #startMs: number;
  #monotonic = 0;
  #sequence = 0;
  /** Sorted by (due, sequence): timers of one instant fire in the order in which they were set. */
  #timers: { due: number; sequence: number; fire: () => void }[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  now(): number {
    // Not summed up: steps below the resolution of a date would be lost, and who waits for a moment would
    // never see it come.
    return this.#startMs + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(delayMs: number, fire: () => void): CancelTimer {
    const timer = { due: this.#monotonic + Math.max(0, delayMs), sequence: this.#sequence++, fire };
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#timers[middle];
      if (other !== undefined && other.due <= timer.due) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** When the next timer is due on the monotonic clock, or `undefined` when none is set. */
  nextDue(): number | undefined {
    return this.#timers[0]?.due;
  }

  /** Moves to the next timer and fires it. Returns false when none is set. */
  fireNext(): boolean {
    const timer = this.#timers.shift();
    if (timer === undefined) return false;
    this.#moveTo(timer.due);
    timer.fire();
    return true;
  }

  /** Moves time forward by `ms`, firing what falls due on the way, in order. */
  advance(ms: number): void {
    const target = this.#monotonic + ms;
    for (let due = this.nextDue(); due !== undefined && due <= target; due = this.nextDue()) {
      this.fireNext();
    }
    this.#moveTo(target);
  }

  #moveTo(monotonic: number): void {
    if (monotonic <= this.#monotonic) return;
    this.#monotonic = monotonic;
  }
}
