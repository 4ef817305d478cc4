/**
 * What do tasks use at the most? Told to the server, which may let others count on what they leave (overcommit).
 *
 * Every so often the figures of all running containers are read from the kernel's files; the peaks of the last while
 * are kept in slices of time, so that an old peak is forgotten. A task is told of once it was watched for long
 * enough, and in steps, upwards: small changes make no new report. A container that was started anew begins with the
 * peaks of its task. Cost: a reading of each running container (`cgroup-reader.ts`) each period.
 */

import { type Clock, type Driver, MINUTE_MS } from "@berth/base";
import { type NodeStatus, TASKS_MEASURED_MAX } from "@berth/protocol";
import type { ContainerState, ContainerStats, Runtime } from "../runtime/port.ts";

/**
 * Processor time is averaged over it: shorter peaks are waited out, and are what the margin is for. Every node reads,
 * also where nobody overcommits: seven files a container, so not oftener.
 */
const PERIOD_MS = MINUTE_MS;
/** Starting up says little about what follows: as long as the autoscaler of Kubernetes waits. */
const TOLD_AFTER_MS = 5 * MINUTE_MS;
/** Peaks are remembered for so many slices of so long: half an hour. */
const SLICES = 6;
const SLICE_MS = 5 * MINUTE_MS;
/** Use is told in four steps for each doubling, at least these. */
const STEPS_PER_DOUBLING = 4;
const STEP_MIN = { cpuMillis: 10, memoryBytes: 4 * 1024 * 1024 } as const;

type Use = NonNullable<NodeStatus["use"]>[string];

interface Watched {
  readonly sinceMs: number;
  /** The newest slice last. */
  readonly slices: { readonly startMs: number; cpuMillis: number; memoryBytes: number }[];
  container: string;
  cpuNanos: number;
  atMs: number;
}

export interface UseMeterOptions {
  readonly runtime: Pick<Runtime, "stats">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly driver: Driver;
  /** Running containers by task. */
  readonly running: () => Iterable<readonly [string, Pick<ContainerState, "id">]>;
}

export class UseMeter {
  readonly #options: UseMeterOptions;
  readonly #tasks = new Map<string, Watched>();

  constructor(options: UseMeterOptions) {
    this.#options = options;
    options.driver.add({
      name: "use-meter",
      purpose: "Measures what tasks use, so that others may count on what they leave.",
      periodMs: PERIOD_MS,
      run: () => this.measure(),
    });
  }

  /** By task, in order; those that were watched for long enough. */
  told(): NonNullable<NodeStatus["use"]> {
    const now = this.#options.clock.monotonic();
    const told = [...this.#tasks]
      .filter(([, { sinceMs }]) => now - sinceMs >= TOLD_AFTER_MS)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, TASKS_MEASURED_MAX);
    return Object.fromEntries(told.map(([task, watched]) => [task, useOf(watched)]));
  }

  /** Reads all figures once. */
  async measure(): Promise<void> {
    const { runtime, running, clock } = this.#options;
    const taskOf = new Map([...running()].map(([task, { id }]) => [id, task]));
    const present = new Set(taskOf.values());
    for (const task of this.#tasks.keys()) if (!present.has(task)) this.#tasks.delete(task);
    if (taskOf.size === 0) return;
    for (const figures of await runtime.stats([...taskOf.keys()])) {
      const task = taskOf.get(figures.containerId);
      if (task !== undefined) this.#note(task, figures, clock.monotonic());
    }
  }

  #note(task: string, { containerId, cpuNanos, memoryBytes }: ContainerStats, now: number): void {
    const known = this.#tasks.get(task);
    const watched: Watched = known ?? {
      ...{ sinceMs: now, slices: [], container: containerId, cpuNanos, atMs: now },
    };
    this.#tasks.set(task, watched);
    const isSame = watched.container === containerId && cpuNanos >= watched.cpuNanos;
    const passedMs = now - watched.atMs;
    const cpuMillis =
      isSame && passedMs > 0 ? (cpuNanos - watched.cpuNanos) / (passedMs * 1_000) : 0;
    Object.assign(watched, { container: containerId, cpuNanos, atMs: now });
    let slice = watched.slices.at(-1);
    if (slice === undefined || now - slice.startMs >= SLICE_MS) {
      slice = { startMs: now, cpuMillis: 0, memoryBytes: 0 };
      watched.slices.push(slice);
      if (watched.slices.length > SLICES) watched.slices.shift();
    }
    slice.cpuMillis = Math.max(slice.cpuMillis, cpuMillis);
    slice.memoryBytes = Math.max(slice.memoryBytes, memoryBytes);
  }
}

function useOf({ slices }: Watched): Use {
  const most = (field: keyof Use) =>
    inSteps(Math.max(...slices.map((slice) => slice[field])), STEP_MIN[field]);
  return { cpuMillis: most("cpuMillis"), memoryBytes: most("memoryBytes") };
}

/** The next step that is not below `amount`. */
function inSteps(amount: number, stepMin: number): number {
  const doubling = 2 ** Math.floor(Math.log2(Math.max(1, amount)));
  const step = Math.max(stepMin, doubling / STEPS_PER_DOUBLING);
  return Math.ceil(Math.ceil(amount / step) * step);
}
