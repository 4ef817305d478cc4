/**
 * From containers' output to stored lines, without loss and without doubles.
 *
 * Each container is followed from its start to its end, through breaks of the engine and restarts of the
 * agent. Where to go on is read from the stored log itself: the last stamp of each stream and the bytes that
 * carry it. The engine is asked from a little before that, and what is stored already is left out. See
 * docs/design/logs.md for what remains possible (a wall clock set back while no agent runs).
 */

import { backoffMs, type Clock, type Logger, sleep } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import type { Runtime } from "../runtime/port.ts";
import type { LogKey, LogLimits } from "./key.ts";
import { LineCutter } from "./lines.ts";
import { ByteRate } from "./rate.ts";
import { stampOf } from "./record.ts";
import { ResumeFilter, resumeSince } from "./resume.ts";
import type { LogStore } from "./store.ts";
import type { TaskLog } from "./task-log.ts";

/** A container whose output belongs to an attempt of a task. */
export interface LogTarget {
  readonly containerId: string;
  readonly key: LogKey;
  readonly attempt: number;
  readonly limits: LogLimits;
}

export interface LogCaptureOptions {
  readonly runtime: Pick<Runtime, "logs" | "inspectContainer">;
  readonly store: LogStore;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Following {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Between tries after a break: at once first, then no slower than the engine's own restart takes. */
const RETRY_BACKOFF = { initialMs: 100, maxMs: 5_000 } as const;

export class LogCapture {
  readonly #options: LogCaptureOptions;
  readonly #followed = new Map<string, Following>();

  constructor(options: LogCaptureOptions) {
    this.#options = options;
  }

  /** Begins to follow a container; repeating it for one that is followed changes nothing. */
  follow(target: LogTarget): void {
    if (this.#followed.has(target.containerId)) return;
    const abort = new AbortController();
    const done = this.#run(target, abort.signal).finally(() => {
      this.#followed.delete(target.containerId);
    });
    this.#followed.set(target.containerId, { abort, done });
  }

  /**
   * Resolves when everything that the container wrote until its end is stored, or when it is not followed.
   * Call it between the end of a container and its removal.
   */
  async drained(containerId: string): Promise<void> {
    await this.#followed.get(containerId)?.done;
  }

  /** Stops following everything; what was read is stored. Containers go on. */
  async close(): Promise<void> {
    const all = [...this.#followed.values()];
    for (const { abort } of all) abort.abort();
    await Promise.all(all.map(({ done }) => done));
  }

  /** Never rejects: failures are logged and tried again until the end or the signal. */
  async #run(target: LogTarget, signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#options;
    const taskLog = store.acquire(target.key);
    try {
      let isOver = false;
      for (let failures = 0; !signal.aborted; ) {
        try {
          const hasEnded = await this.#session(target, taskLog, signal);
          if (hasEnded && isOver) return;
          failures = 0;
          // Engines close a stream that is followed now and then before the last words: those are read after the end.
          isOver = hasEnded;
          if (isOver) continue;
        } catch (error) {
          if (isGone(error)) return;
          failures++;
          log.warn("output of a container could not be read", { ...whose(target), error });
        }
        await sleep(clock, backoffMs(failures + 1, RETRY_BACKOFF), signal).catch(() => {});
      }
    } finally {
      await store.release(target.key).catch((error: unknown) => {
        log.warn("output of a container could not be stored", { ...whose(target), error });
      });
    }
  }

  /** Follows until the stream ends. True when the container has ended, too. */
  async #session(target: LogTarget, taskLog: TaskLog, signal: AbortSignal): Promise<boolean> {
    const { runtime, clock } = this.#options;
    const { containerId, attempt, limits } = target;
    const position = await taskLog.position(attempt);
    const filter = new ResumeFilter(position);
    const cutter = new LineCutter(attempt);
    const rate = new ByteRate(clock);
    const note = (text: string) =>
      taskLog.append(
        {
          stamp: stampOf(clock.now()),
          attempt,
          stream: "note",
          continues: false,
          bytes: Buffer.from(text),
        },
        limits,
      );
    for await (const chunk of runtime.logs(containerId, resumeSince(position), signal)) {
      const bytes = filter.admit(chunk);
      if (bytes.length === 0) continue;
      for (const record of cutter.push({ ...chunk, bytes })) {
        const verdict = rate.take(record.bytes.length + 1);
        if (verdict.kind === "drop") continue;
        if (verdict.droppedLines > 0) await note(rate.describe(verdict));
        await taskLog.append(record, limits);
      }
    }
    // Lines that a break has cut are not stored: they come again as a whole.
    if (signal.aborted) return false;
    const state = await runtime.inspectContainer(containerId, signal);
    const ended = state === undefined || state.phase === "exited" || state.phase === "dead";
    if (ended) {
      for (const record of cutter.end()) await taskLog.append(record, limits);
      const left = rate.end();
      if (left.droppedLines > 0) await note(rate.describe(left));
    }
    await taskLog.flushed();
    return ended;
  }
}

/** The container was removed: there is nothing left to read. */
function isGone(error: unknown): boolean {
  return error instanceof ProtocolError && error.code === "not_found";
}

function whose(target: LogTarget) {
  return { container: target.containerId, task: target.key.task, attempt: target.attempt };
}
