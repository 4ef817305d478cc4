/**
 * The one loop driver. Whoever has work to do again and again registers a loop here instead of owning a
 * timer: period, wake-up, one run at a time, back-off after failures, cancellation and a status that
 * `berth debug loops` shows.
 *
 * A loop's body gets no event, only the signal that ends it: it looks at the state and does what is to be
 * done, so a lost or doubled wake-up changes nothing. A wake-up during a run causes exactly one more run.
 * Cost: O(1) a wake-up and a run; nothing happens while no loop is due.
 */

import { backoffMs } from "./backoff.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import type { Logger } from "./log.ts";
import type { Prng } from "./prng.ts";

export interface LoopOptions {
  /** Unique within the driver; words of the glossary, `kebab-case`. */
  readonly name: string;
  /** What one run does; shown to operators. */
  readonly purpose: string;
  /** A run starts at the latest this long after the last one ended. Omit for wake-ups only. */
  readonly periodMs?: number;
  /** After a wake-up, wait this long for further ones before the run. 0 by default. */
  readonly gatherMs?: number;
  /** Does the work. May return the delay in milliseconds after which it wants to run again. */
  readonly run: (signal: AbortSignal) => Promise<LoopResult> | LoopResult;
}

/** `againMs`: run again after this many milliseconds at the latest. */
// biome-ignore lint/suspicious/noConfusingVoidType: a run that has nothing to say returns nothing
export type LoopResult = void | { readonly againMs?: number };

/** What operators see of a loop. Times are wall times in milliseconds. */
export interface LoopStatus {
  readonly name: string;
  readonly purpose: string;
  readonly state: "idle" | "running" | "backing-off" | "stopped";
  readonly runs: number;
  readonly failures: number;
  /** Failures since the last success. */
  readonly failuresInRow: number;
  readonly lastStart: number | undefined;
  readonly lastDurationMs: number | undefined;
  readonly lastError: string | undefined;
}

/** Retry delays of a failing loop: soon at first, and no slower than twice a minute. */
const LOOP_BACKOFF = { initialMs: 100, maxMs: 30_000 } as const;

export class Driver {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #prng: Prng;
  readonly #loops = new Map<string, Loop>();

  constructor(options: { readonly clock: Clock; readonly log: Logger; readonly prng: Prng }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#prng = options.prng;
  }

  /** Adds a loop and starts its first run at once (in a later turn of the event loop). */
  add(options: LoopOptions): Loop {
    if (this.#loops.has(options.name)) throw new RangeError(`loop ${options.name} exists already`);
    const loop = new Loop(options, this.#clock, this.#log.with({ loop: options.name }), this.#prng);
    this.#loops.set(options.name, loop);
    loop.wake();
    return loop;
  }

  /** Stops one loop and forgets it; resolves when its run has ended. */
  async remove(name: string): Promise<void> {
    const loop = this.#loops.get(name);
    this.#loops.delete(name);
    await loop?.stop();
  }

  statuses(): LoopStatus[] {
    return [...this.#loops.values()].map((loop) => loop.status());
  }

  /** Stops every loop; resolves when no run is under way. */
  async stop(): Promise<void> {
    await Promise.all([...this.#loops.values()].map((loop) => loop.stop()));
  }
}

/** One loop; made by `Driver.add`. */
export class Loop {
  readonly #options: LoopOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #prng: Prng;
  readonly #abort = new AbortController();
  #cancelTimer: CancelTimer | undefined;
  #timerDue = Number.POSITIVE_INFINITY;
  #wanted = false;
  #running: Promise<void> | undefined;
  #runs = 0;
  #failures = 0;
  #failuresInRow = 0;
  #lastStart: number | undefined;
  #lastDurationMs: number | undefined;
  #lastError: string | undefined;

  constructor(options: LoopOptions, clock: Clock, log: Logger, prng: Prng) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#prng = prng;
  }

  /** Asks for a run. Cheap, may be called any number of times. A loop that backs off keeps its delay. */
  wake(): void {
    if (this.#abort.signal.aborted) return;
    if (this.#running !== undefined) {
      this.#wanted = true;
      return;
    }
    if (this.#failuresInRow > 0) return;
    this.#schedule(this.#options.gatherMs ?? 0);
  }

  status(): LoopStatus {
    return {
      name: this.#options.name,
      purpose: this.#options.purpose,
      state: this.#state(),
      runs: this.#runs,
      failures: this.#failures,
      failuresInRow: this.#failuresInRow,
      lastStart: this.#lastStart,
      lastDurationMs: this.#lastDurationMs,
      lastError: this.#lastError,
    };
  }

  /** No run starts any more; the one under way is cancelled and awaited. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error(`loop ${this.#options.name} is stopped`));
    this.#cancelTimer?.();
    await this.#running;
  }

  #state(): LoopStatus["state"] {
    if (this.#abort.signal.aborted) return "stopped";
    if (this.#running !== undefined) return "running";
    return this.#failuresInRow > 0 ? "backing-off" : "idle";
  }

  /** Sets the timer unless an earlier one is set. */
  #schedule(delayMs: number): void {
    const due = this.#clock.monotonic() + delayMs;
    if (due >= this.#timerDue) return;
    this.#cancelTimer?.();
    this.#timerDue = due;
    this.#cancelTimer = this.#clock.setTimer(delayMs, () => {
      this.#timerDue = Number.POSITIVE_INFINITY;
      this.#cancelTimer = undefined;
      // Set before the body's first turn: what it wakes there, itself included, finds it running.
      const ended = Promise.withResolvers<void>();
      this.#running = ended.promise;
      void this.#run().finally(ended.resolve);
    });
  }

  async #run(): Promise<void> {
    this.#wanted = false;
    this.#runs++;
    this.#lastStart = this.#clock.now();
    const start = this.#clock.monotonic();
    let againMs = this.#options.periodMs;
    try {
      // A body that throws before its first wait fails like any other, in a later turn: `#running` is set.
      const result = await Promise.try(() => this.#options.run(this.#abort.signal));
      this.#failuresInRow = 0;
      this.#lastError = undefined;
      if (result?.againMs !== undefined) againMs = Math.min(result.againMs, againMs ?? Infinity);
      // No earlier than the next turn, so that a loop that always wants more starves nobody.
      if (this.#wanted) againMs = this.#options.gatherMs ?? 0;
    } catch (error) {
      againMs = this.#failed(error);
    }
    this.#lastDurationMs = this.#clock.monotonic() - start;
    this.#running = undefined;
    if (againMs !== undefined && !this.#abort.signal.aborted) this.#schedule(againMs);
  }

  #failed(error: unknown): number | undefined {
    if (this.#abort.signal.aborted) return undefined;
    this.#failures++;
    this.#failuresInRow++;
    this.#lastError = error instanceof Error ? error.message : String(error);
    const delayMs = backoffMs(this.#failuresInRow, LOOP_BACKOFF, this.#prng);
    this.#log.warn("loop failed", { error, failuresInRow: this.#failuresInRow, delayMs });
    return delayMs;
  }
}
