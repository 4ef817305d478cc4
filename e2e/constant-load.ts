/** Requests one after another from several clients until it is stopped; every answer is counted. */

import { setTimeout as delay } from "node:timers/promises";
import type { HttpAnswer } from "./test-platform.ts";

export interface LoadResult {
  readonly good: number;
  /** What went wrong, one line each. */
  readonly failures: readonly string[];
  /** Bodies that were answered, with their number. */
  readonly bodies: ReadonlyMap<string, number>;
}

/** Pause of each client between two requests: a busy machine is to be tested, not its processor. */
const PAUSE_MS = 10;

/** Keeps asking while `work` is done; the load ends with it, however it ends. */
export async function underLoad(
  ask: () => Promise<HttpAnswer>,
  work: () => Promise<void>,
): Promise<LoadResult> {
  const load = new ConstantLoad(ask);
  let result: LoadResult | undefined;
  try {
    await work();
  } finally {
    result = await load.stop();
  }
  return result;
}

class ConstantLoad {
  readonly #ask: () => Promise<HttpAnswer>;
  readonly #clients: Promise<void>[];
  readonly #failures: string[] = [];
  readonly #bodies = new Map<string, number>();
  #good = 0;
  #stopped = false;

  constructor(ask: () => Promise<HttpAnswer>, clients = 4) {
    this.#ask = ask;
    this.#clients = Array.from({ length: clients }, () => this.#run());
  }

  /** Waits for the last answers. */
  async stop(): Promise<LoadResult> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    return { good: this.#good, failures: this.#failures, bodies: this.#bodies };
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const { status, body } = await this.#ask();
        if (status === 200) {
          this.#good++;
          this.#bodies.set(body, (this.#bodies.get(body) ?? 0) + 1);
        } else this.#failures.push(`${new Date().toISOString()} ${status} ${body.slice(0, 80)}`);
      } catch (error) {
        this.#failures.push(`${new Date().toISOString()} ${String(error)}`);
      }
      await delay(PAUSE_MS);
    }
  }
}
