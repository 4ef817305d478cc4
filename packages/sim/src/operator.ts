/**
 * An operator: takes nodes out of scheduling for a while and back in, through the real API. When faults end,
 * every node is active again.
 */

import { type Clock, type Prng, sleep } from "@berth/base";
import { type ApiClient, asProtocolError } from "@berth/protocol";
import type { Trace } from "./trace.ts";

export interface OperatorOptions {
  readonly api: ApiClient;
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly prng: Prng;
  readonly trace: Trace;
  /** Nothing new is begun once this is over (monotonic, milliseconds). */
  readonly untilMs: number;
}

const PAUSE_MS = { min: 10_000, max: 60_000 } as const;
const DRAINED_MS = { min: 3_000, max: 30_000 } as const;
const RETRY_MS = 1_000;

export class Operator {
  readonly #options: OperatorOptions;
  #busy = false;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** A node is out of scheduling, or a request has no answer yet. */
  get busy(): boolean {
    return this.#busy;
  }

  async run(): Promise<void> {
    const { clock, prng, nodes, untilMs } = this.#options;
    for (;;) {
      await sleep(clock, prng.int(PAUSE_MS.min, PAUSE_MS.max));
      if (clock.monotonic() >= untilMs) return;
      const node = prng.pick(nodes);
      this.#busy = true;
      if (await this.#set(node, "draining")) {
        await sleep(clock, prng.int(DRAINED_MS.min, DRAINED_MS.max));
        await this.#set(node, "active");
      }
      this.#busy = false;
    }
  }

  /** Repeats the request until there is an answer; false when the node is not known (yet). */
  async #set(node: string, availability: "active" | "draining"): Promise<boolean> {
    const { api, clock, trace } = this.#options;
    trace.note("", "U>", `${node} ${availability}`);
    for (;;) {
      try {
        await api.call("setNodeAvailability", { params: { node }, body: { availability } });
        trace.note("", "U<", `${node} ${availability}`);
        return true;
      } catch (error) {
        if (asProtocolError(error).code === "not_found") return false;
        await sleep(clock, RETRY_MS);
      }
    }
  }
}
