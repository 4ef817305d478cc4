/**
 * One life of a process inside the simulation: what it can do while it lives, and that it can do nothing
 * once it was killed.
 *
 * The code of a killed process is still there, in closures and promises. It gets no timer, no answer and
 * no event any more, and nothing that it does reaches anybody: as after `kill -9`. Everything that a
 * process reaches the world by (clock, store, disk, network, engine) goes through its life.
 */

import { type CancelTimer, type Clock, Driver, type Logger, type Prng } from "@berth/base";

export class Life {
  /** The clock as this process has it: its timers end with it. */
  readonly clock: Clock;
  readonly #abort = new AbortController();
  readonly #timers = new Set<CancelTimer>();
  #driver: Driver | undefined;

  constructor(clock: Clock) {
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      setTimer: (delayMs, fire) => this.#setTimer(clock, delayMs, fire),
    };
  }

  get alive(): boolean {
    return !this.#abort.signal.aborted;
  }

  /** Aborts with the process's death: for those on the other side. */
  get death(): AbortSignal {
    return this.#abort.signal;
  }

  /** `kill -9`. */
  kill(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#abort.abort(new Error("the process was killed"));
  }

  /** The driver of this process's loops. */
  driver(log: Logger, prng: Prng): Driver {
    this.#driver = new Driver({ clock: this.clock, log, prng });
    return this.#driver;
  }

  /**
   * The run is over. Signals that somebody listens to are kept by Node until they abort, and with them all
   * that their listeners know: a whole cluster a run.
   */
  bury(): void {
    this.kill();
    void this.#driver?.stop();
  }

  /** What `call` gives, as long as the process lives; a dead process calls nobody and hears nothing. */
  async only<T>(call: () => Promise<T>): Promise<T> {
    if (!this.alive) return never();
    try {
      const result = await call();
      return this.alive ? result : await never();
    } catch (error) {
      if (!this.alive) await never();
      throw error;
    }
  }

  /** The items of `source`, as long as the process lives. */
  async *items<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    try {
      for await (const item of source) {
        if (!this.alive) await never();
        yield item;
      }
    } catch (error) {
      if (!this.alive) await never();
      throw error;
    }
  }

  #setTimer(clock: Clock, delayMs: number, fire: () => void): CancelTimer {
    if (!this.alive) return () => {};
    const cancel = clock.setTimer(delayMs, () => {
      this.#timers.delete(cancel);
      fire();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }
}

/** A promise that nobody settles. */
export function never(): Promise<never> {
  return new Promise(() => {});
}
