/** Takes what is done with whole volumes forward: one step a volume, until nothing is left to do. */

import { type Loop, type LoopResult, SECOND_MS } from "@berth/base";
import { packUnits } from "../plan/unit.ts";
import { volumeStep } from "../release/volume-moves.ts";
import type { ChangeBatch } from "../state/cluster-state.ts";
import type { HeldKind } from "../state/cluster-tables.ts";
import type { ControllerDeps } from "./deps.ts";

const WAKING = new Set<HeldKind>(["volume", "task", "status", "operation", "node", "node-status"]);
/** Deadlines of holds are minutes: how often they are looked at while there is one. */
const LOOK_MS = 5 * SECOND_MS;

export class VolumeController {
  readonly #deps: ControllerDeps;
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#endListening = this.#deps.state.onChange((batch) => this.#onChange(batch));
    this.#loop = this.#deps.driver.add({
      name: "volumes",
      purpose: "moves volumes, and ends backups and restores that nobody goes on with",
      run: (signal) => this.#run(signal),
    });
  }

  async stop(): Promise<void> {
    this.#endListening?.();
    await this.#deps.driver.remove("volumes");
  }

  #onChange(batch: ChangeBatch): void {
    if (batch.changes.some(({ kind }) => WAKING.has(kind))) this.#loop?.wake();
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const { state, clock, ids, committer, leadership } = this.#deps;
    let isBusy = false;
    for (const volume of state.view.volumes.by("held", "held")) {
      const { hold } = volume.value;
      if (hold === undefined) continue;
      isBusy = true;
      const now = clock.now();
      const input = { view: state.view, volume, hold, now, newId: ids.identifier };
      const unit = volumeStep(input);
      if (unit === undefined) continue;
      const outcome = await committer.commit(packUnits([unit], leadership()), signal);
      if (outcome === "overtaken") this.#loop?.wake();
    }
    return isBusy ? { againMs: LOOK_MS } : undefined;
  }
}
