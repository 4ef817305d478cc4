/**
 * Virtual time: fires the next timer, lets everything that follows from it happen, fires the next.
 *
 * Nothing in a simulated cluster touches the real clock, disk or network, so all that follows from a timer
 * happens in microtasks: one turn of the event loop drains them. Hence the same seed gives the same order
 * of everything. Cost: one turn of the event loop a timer.
 */

import { ManualClock } from "@berth/base";

/** Timers of one instant that may follow each other: more mean two loops that wake each other for ever. */
const TIMERS_PER_INSTANT_MAX = 20_000;

/** Time stands still although timers fire: the cluster is in a loop that never waits. */
export class Livelock extends Error {
  override readonly name = "Livelock";
}

export class VirtualTime {
  readonly clock = new ManualClock();
  #steps = 0;
  #instant = -1;
  #inInstant = 0;

  /** Timers fired so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Lets time pass until `done` holds or `limitMs` are over; answers whether it held. */
  async run(limitMs: number, done: () => boolean = () => false): Promise<boolean> {
    const end = this.clock.monotonic() + limitMs;
    await turn();
    for (;;) {
      if (done()) return true;
      const due = this.clock.nextDue();
      if (due === undefined || due > end) break;
      this.#count(due);
      this.clock.fireNext();
      await turn();
    }
    const left = end - this.clock.monotonic();
    if (left > 0) this.clock.advance(left);
    return false;
  }

  #count(due: number): void {
    this.#steps++;
    this.#inInstant = due === this.#instant ? this.#inInstant + 1 : 0;
    this.#instant = due;
    if (this.#inInstant <= TIMERS_PER_INSTANT_MAX) return;
    throw new Livelock(`${this.#inInstant} timers fired at ${due} ms without time passing`);
  }
}

/** One turn of the event loop: all microtasks, and those that they cause, are done after it. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
