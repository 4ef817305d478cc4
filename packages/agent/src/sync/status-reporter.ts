/**
 * Brings statuses of tasks to the server: gathered for a moment, only the latest of each task, repeated
 * until they were taken. The server ignores what it has seen already (sequence), so repeating is harmless.
 */

import type { Clock, Driver, Loop, LoopResult } from "@berth/base";
import type { ApiClient, FloatingPart, TaskStatus } from "@berth/protocol";

/** What one call takes (the route's own limit). */
const BATCH_MAX = 500;
/** What one task passes through at once shares a call. */
const GATHER_MS = 2;
/** Calls follow each other no sooner: in a burst they take more with them, below what anybody notices. */
const SPACING_MS = 20;
/** Pause after a failed call while the stream still says that there is contact. */
const RETRY_MS = 300;

export interface StatusReporterOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly node: string;
  readonly clock: Clock;
  readonly driver: Driver;
  /** Tasks that the server wants stopped, whatever their assignment says. */
  readonly onStop: (tasks: readonly string[]) => void;
  /** Milliseconds on the boot-time clock. */
  readonly bootMs: () => number;
  /** A server answered what was sent at `sentMs` (boot-time clock), `sentAt` (monotonic). */
  readonly onHeard: (sentMs: number, sentAt: number) => void;
  /** What part this node has in floating addresses now. */
  readonly onFloating: (parts: readonly FloatingPart[]) => void;
  /** Before it there is nobody to report to. */
  readonly isJoined: () => boolean;
}

export class StatusReporter {
  readonly #options: StatusReporterOptions;
  readonly #loop: Loop;
  /** Latest unsent status of each task, oldest first. */
  readonly #waiting = new Map<string, TaskStatus>();
  #nextAt = 0;

  constructor(options: StatusReporterOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: "status-report",
      purpose: "Reports statuses of tasks to the server.",
      gatherMs: GATHER_MS,
      run: (signal) => this.#run(signal),
    });
  }

  report(status: TaskStatus): void {
    this.#waiting.set(status.task, status);
    this.#loop.wake();
  }

  /** Statuses not yet taken by the server. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Contact was made: no reason to go on waiting. */
  wake(): void {
    this.#loop.wake();
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const { isJoined, clock } = this.#options;
    if (this.#waiting.size === 0 || !isJoined()) return;
    const restMs = this.#nextAt - clock.monotonic();
    if (restMs > 0) return { againMs: restMs };
    const statuses = [...this.#waiting.values()].slice(0, BATCH_MAX);
    try {
      await this.#send(statuses, signal);
      this.#nextAt = clock.monotonic() + SPACING_MS;
    } catch {
      // The link to the server says what is wrong, and wakes this loop when contact is back.
      signal.throwIfAborted();
      return { againMs: RETRY_MS };
    }
    if (this.#waiting.size > 0) return { againMs: 0 };
  }

  async #send(statuses: readonly TaskStatus[], signal: AbortSignal): Promise<void> {
    const { api, node, clock, bootMs, onHeard, onFloating, onStop } = this.#options;
    const options = { params: { node }, body: { statuses }, signal };
    const sent = [bootMs(), clock.monotonic()] as const;
    const { stop, floating = [] } = await api.call("reportTasks", options);
    onHeard(...sent);
    onFloating(floating);
    for (const status of statuses) {
      if (this.#waiting.get(status.task) === status) this.#waiting.delete(status.task);
    }
    if (stop.length > 0) onStop(stop);
  }
}
