/**
 * One container of the fake host: the phases of a process on a given clock.
 *
 * It belongs to the host, not to an agent: agents and engines may come and go while it runs. Its end is
 * decided by its program, by signals, or by the host's power. Cost: one timer per scripted moment.
 */

import { type CancelTimer, type Clock, present } from "@berth/base";
import type { Resources } from "@berth/protocol";
import type { FakeProgram } from "./fake-program.ts";
import {
  type ContainerRequest,
  type ContainerState,
  type ContainerStats,
  LABEL_ATTEMPT,
  type LogChunk,
} from "./port.ts";

/** Codes that a shell would show: 128 + number of the signal. */
const EXIT_CODES: Readonly<Record<string, number>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGQUIT: 131,
  SIGKILL: 137,
  SIGTERM: 143,
};

/** Log entries kept of one container: as much as a test looks at. */
const LOG_ENTRIES_MAX = 100_000;

export interface FakeContainerOptions {
  readonly id: string;
  readonly pid: number;
  readonly request: ContainerRequest;
  readonly program: FakeProgram;
  readonly clock: Clock;
  /** Called after the start and after the end. */
  readonly onPhase: (container: FakeContainer) => void;
}

export class FakeContainer {
  readonly id: string;
  readonly request: ContainerRequest;
  readonly logs: LogChunk[] = [];
  /** Archives put into it, by path. */
  readonly files = new Map<string, Uint8Array>();
  readonly #options: FakeContainerOptions;
  #phase: ContainerState["phase"] = "created";
  #exitCode: number | undefined;
  #oomKilled = false;
  #error: string | undefined;
  #startedAt: number | undefined;
  #startedMonotonic = 0;
  #endedMonotonic = 0;
  #stopAskedMs: number | undefined;
  #finishedAt: number | undefined;
  #timers: CancelTimer[] = [];
  #watchers = new Set<() => void>();
  #stamps = 0;
  #limits: Resources | undefined;

  constructor(options: FakeContainerOptions) {
    this.id = options.id;
    this.request = options.request;
    this.#options = options;
  }

  get running(): boolean {
    return this.#phase === "running";
  }

  /** Neither running nor to be started: it has ended once. */
  get ended(): boolean {
    return this.#phase === "exited" || this.#phase === "dead";
  }

  state(): ContainerState {
    return {
      id: this.id,
      name: this.request.name,
      labels: this.request.labels,
      imageId: this.request.imageId,
      phase: this.#phase,
      ...(this.running ? { pid: this.#options.pid } : {}),
      ...(this.#exitCode === undefined ? {} : { exitCode: this.#exitCode }),
      oomKilled: this.#oomKilled,
      ...(this.#error === undefined ? {} : { error: this.#error }),
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(this.#finishedAt === undefined ? {} : { finishedAt: this.#finishedAt }),
    };
  }

  /** Returns the engine's words when the start fails. Starting a running container changes nothing. */
  start(): string | undefined {
    if (this.running) return undefined;
    const { program, clock } = this.#options;
    if (program.startError !== undefined) {
      this.#error = program.startError;
      this.#exitCode = 127;
      return program.startError;
    }
    this.#phase = "running";
    this.#exitCode = undefined;
    this.#finishedAt = undefined;
    this.#stopAskedMs = undefined;
    this.#startedAt = clock.now();
    this.#startedMonotonic = clock.monotonic();
    this.#schedule();
    this.#changed();
    return undefined;
  }

  /** When its process was first asked to end by the engine's stop. Monotonic: wall clocks of hosts may jump. */
  get stopAskedMs(): number | undefined {
    return this.#stopAskedMs;
  }

  /** When its process began. Monotonic. */
  get startedMs(): number {
    return this.#startedMonotonic;
  }

  noteStop(): void {
    if (this.running) this.#stopAskedMs ??= this.#options.clock.monotonic();
  }

  /** What a signal does to the process; unknown signals do nothing. */
  signal(name: string): void {
    if (!this.running) return;
    const exitCode = EXIT_CODES[name];
    if (exitCode === undefined) return;
    const { program } = this.#options;
    const { ignoresTerm = false, termDelayMs = 0, termExitCode = exitCode } = program;
    if (name === "SIGKILL") this.end(exitCode);
    else if (ignoresTerm) return;
    else if (termDelayMs === 0) this.end(termExitCode);
    else this.#after(termDelayMs, () => this.end(termExitCode));
  }

  /** The kernel kills it for want of memory. */
  runOutOfMemory(): void {
    if (!this.running) return;
    this.#oomKilled = true;
    this.end(137);
  }

  end(exitCode: number): void {
    if (!this.running) return;
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
    this.#phase = "exited";
    this.#exitCode = exitCode;
    this.#finishedAt = this.#options.clock.now();
    this.#endedMonotonic = this.#options.clock.monotonic();
    this.#changed();
  }

  /** When its process last ran, the present included; `-Infinity` before its first start. Monotonic. */
  ranUntilMs(): number {
    if (this.running) return this.#options.clock.monotonic();
    return this.ended ? this.#endedMonotonic : Number.NEGATIVE_INFINITY;
  }

  /** When a probe of it would last have succeeded; `-Infinity` when none ever would. Monotonic. */
  healthyUntilMs(): number {
    const { healthyAfterMs = 0, unhealthyAfterMs = Number.POSITIVE_INFINITY } =
      this.#options.program;
    const until = Math.min(this.ranUntilMs(), this.#startedMonotonic + unhealthyAfterMs);
    return until >= this.#startedMonotonic + healthyAfterMs ? until : Number.NEGATIVE_INFINITY;
  }

  /** Whether a probe of it would succeed now. */
  healthy(): boolean {
    if (!this.running) return false;
    const { healthyAfterMs = 0, unhealthyAfterMs = Number.POSITIVE_INFINITY } =
      this.#options.program;
    const ageMs = this.#options.clock.monotonic() - this.#startedMonotonic;
    return ageMs >= healthyAfterMs && ageMs < unhealthyAfterMs;
  }

  /** The process writes `text`, which is one line with its line break, or a piece without. */
  write(stream: "stdout" | "stderr", text: string): void {
    const at = Math.floor(this.#options.clock.now());
    // Nanoseconds tell entries of one millisecond apart, in order.
    this.#stamps++;
    const nanos = String(this.#stamps % 1_000_000).padStart(6, "0");
    const stamp = `${new Date(at).toISOString().slice(0, -1)}${nanos}Z`;
    if (this.logs.length === LOG_ENTRIES_MAX) this.logs.shift();
    this.logs.push({ stream, at, stamp, bytes: Buffer.from(text) });
    this.#notify();
  }

  /** Limits as last set. */
  get limits(): Resources {
    return this.#limits ?? this.request.limits;
  }

  updateLimits(limits: Resources): void {
    this.#limits = limits;
  }

  /** Figures that grow with time: half a processor, 32 MiB. Nothing while it does not run. */
  stats(): ContainerStats[] {
    if (!this.running) return [];
    const ageMs = this.#options.clock.monotonic() - this.#startedMonotonic;
    const { memoryBytes } = this.limits;
    return [
      {
        containerId: this.id,
        cpuNanos: ageMs * 500_000,
        memoryBytes: 32 * 1024 * 1024,
        ...(memoryBytes === undefined ? {} : { memoryLimitBytes: memoryBytes }),
        pids: 1,
        oomKills: this.#oomKilled ? 1 : 0,
        blockReadBytes: 0,
        blockWriteBytes: 0,
      },
    ];
  }

  /** Calls `notify` at each change of phase or output until the returned function is called. */
  watch(notify: () => void): () => void {
    this.#watchers.add(notify);
    return () => this.#watchers.delete(notify);
  }

  #schedule(): void {
    const { program } = this.#options;
    for (const { stream, text, afterMs = 0 } of program.output ?? []) {
      if (afterMs === 0) this.write(stream, text);
      else this.#after(afterMs, () => this.write(stream, text));
    }
    const attempt = Number(this.request.labels[LABEL_ATTEMPT] ?? 1);
    if (attempt > (program.crashAttempts ?? Number.POSITIVE_INFINITY)) return;
    if (program.exitAfterMs === undefined) return;
    this.#after(program.exitAfterMs, () => this.end(program.exitCode ?? 0));
  }

  #after(delayMs: number, action: () => void): void {
    if (delayMs === Number.POSITIVE_INFINITY) return;
    this.#timers.push(this.#options.clock.setTimer(delayMs, action));
  }

  #changed(): void {
    this.#options.onPhase(this);
    this.#notify();
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** The exit code of a container that has ended. */
export function exitCodeOf(container: FakeContainer): number {
  return present(container.state().exitCode, "exit code of an ended container");
}
