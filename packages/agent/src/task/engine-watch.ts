/**
 * Keeps the picture of our containers true: a full list, then the engine's events; a list again after each
 * break of the stream and now and then, since events can be lost.
 *
 * An event says that something happened, not what is: the container is looked at. So a lost, doubled or
 * late event changes nothing.
 */

import type { Driver, Logger, Loop } from "@berth/base";
import { MINUTE_MS } from "@berth/base";
import type { Runtime, RuntimeEvent } from "../runtime/port.ts";
import type { Containers } from "./containers.ts";
import type { TaskRoster } from "./roster.ts";

/** Between lists that guard against lost events: one request a minute costs nothing. */
const LIST_PERIOD_MS = MINUTE_MS;

export interface EngineWatchPorts {
  readonly runtime: Runtime;
  readonly containers: Containers;
  readonly roster: TaskRoster;
  readonly cluster: () => string;
  readonly log: Logger;
  /** The engine answered, or not. */
  readonly onReachable: (reachable: boolean, message?: string) => void;
}

export class EngineWatch {
  readonly #ports: EngineWatchPorts;
  readonly #first = Promise.withResolvers<void>();
  #listLoop: Loop | undefined;

  constructor(ports: EngineWatchPorts, driver: Driver) {
    this.#ports = ports;
    ports.containers.onListed = (tasks) => this.#changed(tasks);
    this.#listLoop = driver.add({
      name: "engine-list",
      purpose: "Compares all containers of ours with the engine's list.",
      periodMs: LIST_PERIOD_MS,
      run: (signal) => this.#list(signal),
    });
    driver.add({
      name: "engine-events",
      purpose: "Follows what the engine says about containers of ours.",
      run: (signal) => this.#follow(signal),
    });
  }

  /** Resolves once a first list was taken: before it nothing is known and nothing may start. */
  listed(): Promise<void> {
    return this.#first.promise;
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { runtime, containers, cluster, onReachable } = this.#ports;
    const begun = containers.begin();
    try {
      const states = await runtime.listContainers(cluster(), signal);
      containers.replaceAll(begun, states);
      this.#first.resolve();
      onReachable(true);
    } catch (error) {
      onReachable(false, error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  #changed(tasks: ReadonlySet<string>): void {
    const { roster } = this.#ports;
    for (const task of tasks) roster.wake(task);
    roster.wakeWaiting("lock");
    roster.wakeWaiting("pod");
  }

  /** Ends with the stream; what was missed meanwhile the list finds. */
  async #follow(signal: AbortSignal): Promise<{ againMs: number }> {
    const { runtime, cluster } = this.#ports;
    const events = runtime.events(cluster(), signal);
    this.#listLoop?.wake();
    for await (const event of events) await this.#take(event, signal);
    this.#listLoop?.wake();
    return { againMs: 0 };
  }

  async #take(event: RuntimeEvent, signal: AbortSignal): Promise<void> {
    const { runtime, containers, roster } = this.#ports;
    const known = containers.get(event.containerId);
    if (event.kind === "oom") return;
    // A start of ours: its runner notes it without another request. Others' starts the list finds.
    if (event.kind === "started" && (known?.phase === "created" || known?.phase === "running")) {
      return;
    }
    if (event.kind === "exited" && (known?.phase === "exited" || known?.phase === "dead")) return;
    if (event.kind === "removed") {
      if (known === undefined) return;
      containers.drop(event.containerId);
      roster.containerChanged(undefined, event.task ?? "");
      return;
    }
    const state = await runtime.inspectContainer(event.containerId, signal);
    if (state === undefined) containers.drop(event.containerId);
    else containers.note(state);
    roster.containerChanged(state, event.task ?? "");
  }
}
