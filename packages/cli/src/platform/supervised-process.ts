/**
 * One supervised process: started detached so that it outlives its supervisor, adopted when it runs
 * already, started again with back-off when it ends.
 *
 * Invariant: at most one process per record file. A supervisor that was killed finds its processes by
 * their records and goes on where the old one was.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { backoffMs, type Clock, type Logger } from "@berth/base";
import {
  livingProcess,
  removeProcessRecord,
  startTicksOf,
  writeProcessRecord,
} from "./process-record.ts";

export interface ProcessDescription {
  /** `server`, `agent`, `engine`: the record's and the log's name. */
  readonly name: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly recordFile: string;
  readonly logFile: string;
  /** Runs before each start: removes what a killed predecessor left behind. */
  readonly beforeStart?: () => void;
}

/**
 * From one start to the next, so what ran for longer is started at once: a network without its keeper is not
 * left alone because there were crashes before. Most crashes are single; what ends at once is slowed down.
 */
const RESTART_BACKOFF = { initialMs: 100, maxMs: 10_000 } as const;
/** A process that ran this long has recovered: its next failure is a first one again. */
const HEALTHY_AFTER_MS = 60_000;
/** How often an adopted process, which is no child, is looked at. */
export const ADOPTED_POLL_MS = 500;

export class SupervisedProcess {
  readonly description: ProcessDescription;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onEnd: () => void;
  #child: ChildProcess | undefined;
  #pid: number | undefined;
  #startedAt = 0;
  #failures = 0;
  #notBefore = 0;

  constructor(
    description: ProcessDescription,
    options: { readonly clock: Clock; readonly log: Logger; readonly onEnd: () => void },
  ) {
    this.description = description;
    this.#clock = options.clock;
    this.#log = options.log.with({ process: description.name });
    this.#onEnd = options.onEnd;
  }

  /** Adopts, starts or waits. Answers when it wants to be looked at again, in milliseconds. */
  tend(): number | undefined {
    if (this.#child !== undefined) return undefined;
    if (this.#pid !== undefined && startTicksOf(this.#pid) !== undefined) return ADOPTED_POLL_MS;
    if (this.#pid !== undefined) this.#ended("ended while adopted");
    const living = livingProcess(this.description.recordFile);
    if (living !== undefined) {
      this.#pid = living;
      this.#startedAt = this.#clock.monotonic();
      this.#log.info("adopted", { pid: living });
      return ADOPTED_POLL_MS;
    }
    const waitMs = this.#notBefore - this.#clock.monotonic();
    if (waitMs > 0) return waitMs;
    this.#start();
    return undefined;
  }

  pid(): number | undefined {
    return this.#pid;
  }

  #start(): void {
    const { argv, environment, logFile, recordFile, beforeStart } = this.description;
    const [program, ...rest] = argv;
    if (program === undefined) return;
    beforeStart?.();
    mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
    const output = openSync(logFile, "a", 0o600);
    const child = spawn(program, rest, {
      detached: true,
      stdio: ["ignore", output, output],
      env: environment,
    });
    closeSync(output);
    this.#child = child;
    this.#startedAt = this.#clock.monotonic();
    child.once("error", (error) => this.#childEnded({ error }));
    child.once("exit", (code, signal) => this.#childEnded({ code, signal }));
    if (child.pid === undefined) return;
    this.#pid = child.pid;
    writeProcessRecord(recordFile, child.pid);
    this.#log.info("started", { pid: child.pid });
  }

  #childEnded(how: Readonly<Record<string, unknown>>): void {
    if (this.#child === undefined) return;
    this.#child = undefined;
    this.#log.warn("process ended", how);
    this.#ended("ended");
    this.#onEnd();
  }

  #ended(reason: string): void {
    const ranMs = this.#clock.monotonic() - this.#startedAt;
    this.#failures = ranMs >= HEALTHY_AFTER_MS ? 0 : this.#failures + 1;
    const pauseMs = this.#failures <= 1 ? 0 : backoffMs(this.#failures - 1, RESTART_BACKOFF);
    const delayMs = Math.max(0, pauseMs - ranMs);
    this.#notBefore = this.#clock.monotonic() + delayMs;
    this.#pid = undefined;
    removeProcessRecord(this.description.recordFile);
    this.#log.info(reason, { ranMs, restartInMs: delayMs });
  }
}
