/** Notices which copies have gone, and has the kernel forget its flows to them, one after the other. */

import type { Clock, Driver, Logger, Loop } from "@berth/base";
import type { EndpointModel } from "../model.ts";
import type { NetProblem } from "../report.ts";
import { flushFlows } from "./flow-flush.ts";

export interface FlowKeeperOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  readonly conntrackProgram: string;
}

const LOOP_NAME = "flow-flush";
/** A program that is missing may be installed at any time. */
const RETRY_MS = 10_000;

export class FlowKeeper {
  readonly #options: FlowKeeperOptions;
  readonly #loop: Loop;
  #known: ReadonlySet<string> = new Set();
  readonly #gone = new Set<string>();
  #isMissing = false;
  #flushed = 0;

  constructor(options: FlowKeeperOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: LOOP_NAME,
      purpose: "ends the kernel's memory of flows to copies that are gone",
      run: () => this.#flushAll(),
    });
  }

  get flushed(): number {
    return this.#flushed;
  }

  /** An address that is given to another copy at once is that copy's: its old flows ended with the old one. */
  follow(endpoints: readonly EndpointModel[]): void {
    const now = new Set(
      endpoints.flatMap(({ address, address6 }) =>
        address6 === undefined ? [address] : [address, address6],
      ),
    );
    for (const address of this.#known) if (!now.has(address)) this.#gone.add(address);
    for (const address of now) this.#gone.delete(address);
    this.#known = now;
    if (this.#gone.size > 0) this.#loop.wake();
  }

  problems(): readonly NetProblem[] {
    if (!this.#isMissing) return [];
    return [{ code: "program_missing", program: this.#options.conntrackProgram }];
  }

  close(): Promise<void> {
    return this.#options.driver.remove(LOOP_NAME);
  }

  async #flushAll() {
    for (const address of this.#gone) {
      const result = await flushFlows(this.#options, address);
      this.#isMissing = result === "missing";
      if (result === "missing") return { againMs: RETRY_MS };
      if (typeof result === "object") {
        this.#options.log.warn("flows of a copy that is gone live on", { address, ...result });
      }
      this.#flushed++;
      this.#gone.delete(address);
    }
    return undefined;
  }
}
