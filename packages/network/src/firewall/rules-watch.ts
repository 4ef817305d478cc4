/**
 * Tells at once when somebody takes a table away, instead of at the next look: follows `nft monitor`. What it
 * misses (it is being started, it does not run here) the looks find.
 */

import { type ChildProcess, spawn } from "node:child_process";
import type { Driver, LoopResult } from "@berth/base";

export interface RulesWatchOptions {
  readonly nftProgram: string;
  readonly driver: Driver;
  /** A table was removed, by us or by others. */
  readonly onRemoved: () => void;
}

const LOOP_NAME = "rules-watch";
/** Between looks whether it still runs, and before another start. */
const CHECK_PERIOD_MS = 5_000;

export class RulesWatch {
  readonly #options: RulesWatchOptions;
  #child: ChildProcess | undefined;

  constructor(options: RulesWatchOptions) {
    this.#options = options;
    options.driver.add({
      name: LOOP_NAME,
      purpose: "notices at once when somebody removes our rules",
      periodMs: CHECK_PERIOD_MS,
      run: async (): Promise<LoopResult> => this.#ensure(),
    });
  }

  async close(): Promise<void> {
    await this.#options.driver.remove(LOOP_NAME);
    this.#child?.kill("SIGKILL");
  }

  #ensure(): undefined {
    if (this.#child !== undefined) return;
    const { nftProgram, onRemoved } = this.#options;
    const words = ["monitor", "destroy", "tables"];
    const child = spawn(nftProgram, words, { stdio: ["ignore", "pipe", "ignore"] });
    child.stdout.on("data", () => onRemoved());
    const gone = () => {
      if (this.#child === child) this.#child = undefined;
    };
    child.on("error", gone);
    child.on("exit", gone);
    child.unref();
    this.#child = child;
  }
}
