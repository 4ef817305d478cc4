/**
 * Carries out what `collectGarbage` decides: the shell around it.
 *
 * One run a call; whoever calls it (a loop of the agent's driver) decides how often. A removal that the engine
 * refuses is logged and left: the decision is made anew next time, from what is there then.
 */

import type { Clock, Logger } from "@berth/base";
import { asProtocolError } from "@berth/protocol";
import type { RetentionPolicy } from "../logs/retention.ts";
import type { ContainerState, Runtime } from "../runtime/port.ts";
import { collectGarbage, GARBAGE_POLICY, type GarbagePlan, type GarbagePolicy } from "./garbage.ts";
import type { ImageLedger } from "./image-ledger.ts";

export interface GarbageCollectorOptions {
  readonly runtime: Pick<
    Runtime,
    "listContainers" | "inspectContainer" | "listImages" | "removeContainer" | "removeImage"
  >;
  readonly cluster: string;
  readonly ledger: ImageLedger;
  /** The disk of the engine's data. */
  readonly disk: () => Promise<{ readonly sizeBytes: number; readonly freeBytes: number }>;
  /** Image IDs, tags and digests that kept releases and assignments refer to, asked at each run. */
  readonly kept: () => ReadonlySet<string>;
  readonly isWanted: (container: ContainerState) => boolean;
  /** Removes logs of ended tasks by a policy. */
  readonly collectLogs: (policy: RetentionPolicy) => Promise<unknown>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly policy?: GarbagePolicy;
}

export class GarbageCollector {
  readonly #options: GarbageCollectorOptions;
  #last: GarbagePlan | undefined;

  constructor(options: GarbageCollectorOptions) {
    this.#options = options;
  }

  /** As last decided: whether builds are refused, how full the disk is. `undefined` before the first run. */
  get last(): GarbagePlan | undefined {
    return this.#last;
  }

  /** Decides and removes. Answers the plan. */
  async run(signal?: AbortSignal): Promise<GarbagePlan> {
    const { runtime, ledger, cluster, clock, policy = GARBAGE_POLICY } = this.#options;
    const images = await runtime.listImages(signal);
    const listed = await runtime.listContainers(cluster, signal);
    const containers = await Promise.all(
      listed.map((container) => this.#withEnd(container, signal)),
    );
    await ledger.keepOnly(new Set(images.map(({ imageId }) => imageId)));
    const plan = collectGarbage(
      {
        now: clock.now(),
        disk: await this.#options.disk(),
        images: images.map((image) => {
          const record = ledger.get(image.imageId);
          return record === undefined ? { image } : { image, record };
        }),
        kept: this.#options.kept(),
        containers,
        isWanted: this.#options.isWanted,
      },
      policy,
    );
    this.#last = plan;
    await this.#apply(plan, signal);
    return plan;
  }

  /** Lists do not say when a container ended: those that may go are looked at. */
  async #withEnd(container: ContainerState, signal?: AbortSignal): Promise<ContainerState> {
    const mayGo = container.phase === "exited" && !this.#options.isWanted(container);
    if (!mayGo || container.finishedAt !== undefined) return container;
    return (await this.#options.runtime.inspectContainer(container.id, signal)) ?? container;
  }

  async #apply(plan: GarbagePlan, signal: AbortSignal | undefined): Promise<void> {
    const { runtime, ledger, log, collectLogs } = this.#options;
    if (plan.logs !== undefined) await collectLogs(plan.logs);
    for (const { id } of plan.containers) {
      await this.#try("container", id, () => runtime.removeContainer(id, signal), signal);
    }
    for (const { imageId } of plan.images) {
      // Between the decision and now a task may have come that needs it.
      if (this.#options.kept().has(imageId)) continue;
      const removed = await this.#try(
        "image",
        imageId,
        () => runtime.removeImage(imageId, signal),
        signal,
      );
      if (removed) await ledger.forget(imageId);
    }
    if (plan.missingBytes > 0) {
      log.warn("the disk stays fuller than it should", {
        usedShare: plan.usedShare,
        missingBytes: plan.missingBytes,
      });
    }
  }

  async #try(
    what: string,
    id: string,
    remove: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { log } = this.#options;
    try {
      await remove();
      log.info(`unused ${what} removed`, { id });
      return true;
    } catch (error) {
      signal?.throwIfAborted();
      const { code, message } = asProtocolError(error);
      log.info(`unused ${what} not removed`, { id, code, reason: message });
      return false;
    }
  }
}
