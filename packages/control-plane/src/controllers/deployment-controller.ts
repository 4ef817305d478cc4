/** Takes pending deployments forward, one after the other: images resolved, then a release. */

import type { Loop } from "@berth/base";
import { packUnits } from "../plan/unit.ts";
import { deploymentStep } from "../release/deployment-step.ts";
import type { ChangeBatch } from "../state/cluster-state.ts";
import type { HeldKind } from "../state/cluster-tables.ts";
import type { ControllerDeps } from "./deps.ts";

const WAKING = new Set<HeldKind>(["deployment", "operation", "node", "node-status", "stack"]);

export class DeploymentController {
  readonly #deps: ControllerDeps;
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#endListening = this.#deps.state.onChange((batch) => this.#onChange(batch));
    this.#loop = this.#deps.driver.add({
      name: "deployments",
      purpose: "has images resolved and makes releases",
      run: (signal) => this.#run(signal),
    });
  }

  async stop(): Promise<void> {
    this.#endListening?.();
    await this.#deps.driver.remove("deployments");
  }

  #onChange(batch: ChangeBatch): void {
    if (batch.changes.some(({ kind }) => WAKING.has(kind))) this.#loop?.wake();
  }

  /** One controller takes all port and route claims, one deployment after the other: see `claims.ts`. */
  async #run(signal: AbortSignal): Promise<void> {
    const { state, clock, ids, settings, committer, leadership } = this.#deps;
    for (const { key } of state.view.deployments.by("state", "pending")) {
      const deployment = state.view.deployments.get(key);
      if (deployment?.value.state !== "pending") continue;
      const now = clock.now();
      const input = { view: state.view, deployment, now, newId: ids.identifier, settings };
      const unit = deploymentStep(input);
      if (unit === undefined) continue;
      const outcome = await committer.commit(packUnits([unit], leadership()), signal);
      if (outcome === "overtaken") this.#loop?.wake();
    }
  }
}
