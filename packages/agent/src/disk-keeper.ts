/**
 * Keeps the node's disk from filling up: images and ended containers that nobody needs go under pressure,
 * logs by age and size. What assignments and the last releases refer to stays.
 */

import { type Clock, type Driver, type Logger, MINUTE_MS } from "@berth/base";
import { serviceKey } from "@berth/protocol";
import type { HostFacts } from "./host-facts.ts";
import { GarbageCollector } from "./images/garbage-collector.ts";
import type { ImageLedger } from "./images/image-ledger.ts";
import type { LogStore } from "./logs/store.ts";
import { LABEL_TASK, type Runtime } from "./runtime/port.ts";
import type { AgentState } from "./state/agent-state.ts";
import { imageNames, KeptImages } from "./state/kept-images.ts";
import type { LocalDb } from "./state/local-db.ts";

/** A disk fills in minutes at worst; a look costs two requests to the engine. */
const LOOK_PERIOD_MS = MINUTE_MS;

export interface DiskKeeperOptions {
  readonly runtime: Runtime;
  readonly db: LocalDb;
  readonly state: AgentState;
  readonly ledger: ImageLedger;
  readonly logStore: LogStore;
  readonly host: HostFacts;
  readonly dataDir: string;
  readonly cluster: () => string;
  /** All tasks of this node are known; before, nothing is judged. */
  readonly isKnown: () => boolean;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly log: Logger;
}

export class DiskKeeper {
  readonly #options: DiskKeeperOptions;
  readonly #kept: KeptImages;
  #collector: GarbageCollector | undefined;
  #dataRoot: string | undefined;

  constructor(options: DiskKeeperOptions) {
    this.#options = options;
    this.#kept = new KeptImages(options.db);
    options.driver.add({
      name: "disk",
      purpose: "Removes images, ended containers and logs that nobody needs when the disk fills.",
      periodMs: LOOK_PERIOD_MS,
      run: (signal) => this.#run(signal),
    });
  }

  /** The disk is so full that a build could end everything. */
  get refusesBuilds(): boolean {
    return this.#collector?.last?.refuseBuilds ?? false;
  }

  /**
   * Tasks were told: their images may be gone back to. Never rejects: what a full disk refuses is known until this
   * process ends, and is told again to the next.
   */
  async note(tasks: readonly string[]): Promise<void> {
    const { state, clock, log } = this.#options;
    for (const task of tasks) {
      const told = state.told.get(task);
      if (told === undefined) continue;
      try {
        await this.#kept.note(told.assignment, clock.now());
      } catch (error) {
        log.warn("an image that may be gone back to could not be written down", { task, error });
      }
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { isKnown, state, clock, runtime } = this.#options;
    if (!isKnown()) return;
    const services = [...state.told.values()].map(({ assignment }) => serviceKey(assignment.task));
    await this.#kept.refresh(new Set(services), clock.now());
    this.#dataRoot ??= (await runtime.info(signal)).dataRoot;
    this.#collector ??= this.#make();
    await this.#collector.run(signal);
  }

  #make(): GarbageCollector {
    const { runtime, cluster, ledger, logStore, host, clock, log, state, dataDir } = this.#options;
    return new GarbageCollector({
      runtime,
      cluster: cluster(),
      ledger,
      clock,
      log,
      disk: () => host.disk(this.#dataRoot ?? dataDir).catch(() => host.disk(dataDir)),
      kept: () => this.#keptNames(),
      isWanted: ({ labels }) => state.told.has(labels[LABEL_TASK] ?? ""),
      collectLogs: (policy) => logStore.collect(policy),
    });
  }

  #keptNames(): ReadonlySet<string> {
    const names = this.#kept.names();
    for (const { assignment } of this.#options.state.told.values()) {
      for (const name of imageNames(assignment.image)) names.add(name);
    }
    return names;
  }
}
