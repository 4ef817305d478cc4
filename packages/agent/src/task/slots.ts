/**
 * A bound on how many operations of a kind run at once, first come first served within two priorities:
 * what finishes a task (its start) goes before what begins one (its creation), so that the first of many
 * tasks is up early and not all of them late.
 */

export type Priority = "finish" | "begin";

export class Slots {
  #free: number;
  readonly #waiting: Readonly<Record<Priority, (() => void)[]>> = { finish: [], begin: [] };

  /** `count`: operations at once, 1 or more. */
  constructor(count: number) {
    this.#free = Math.max(1, Math.floor(count));
  }

  /** Runs `work` in a slot; rejects with the signal's reason when it aborts while waiting. */
  async run<T>(priority: Priority, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#take(priority, signal);
    try {
      return await work();
    } finally {
      this.#give();
    }
  }

  #take(priority: Priority, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const queue = this.#waiting[priority];
      const onAbort = () => {
        const index = queue.indexOf(enter);
        if (index >= 0) queue.splice(index, 1);
        reject(signal.reason);
      };
      const enter = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      queue.push(enter);
    });
  }

  #give(): void {
    const next = this.#waiting.finish.shift() ?? this.#waiting.begin.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
