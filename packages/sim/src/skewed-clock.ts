/**
 * The clock of one host: its wall time is off by some amount, which may change at any moment, as when somebody sets
 * it or a time service corrects it. What counts durations goes on as everywhere.
 */

import type { CancelTimer, Clock } from "@berth/base";

export class SkewedClock implements Clock {
  /** How far its wall time is ahead of the true one, milliseconds; may be negative. */
  skewMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now() + this.skewMs;
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  setTimer(delayMs: number, fire: () => void): CancelTimer {
    return this.#clock.setTimer(delayMs, fire);
  }
}
