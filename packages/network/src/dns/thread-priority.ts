/**
 * Which priority the thread that answers names has: before everything else of the machine, as long as it takes
 * little of it.
 *
 * An answer takes microseconds, and everything in every container waits for it. Among dozens of programs that
 * compete for a processor (containers that start) a thread of the ordinary kind waits tens of milliseconds for
 * its turn, whatever its nice value; one of the real-time class (`SCHED_FIFO`, sched(7)) has it at once. Such a
 * thread must not be able to take a processor from everybody: one that has been busy for three quarters of the
 * time for five seconds is ordinary until it has been calm for as long, and in between the kernel leaves a twentieth to others
 * (`sched_rt_runtime_us`). Where it is not permitted, or `chrt` is missing, nothing changes.
 */

import { readFileSync } from "node:fs";
import type { Clock, Logger } from "@berth/base";
import { type ProgramResult, runProgram } from "../program.ts";

/**
 * Share of one processor above which a look finds the thread busy, and below which it finds it calm. The design's
 * 20,000 queries a second, each woken up for, are 0.4.
 */
export const BUSY_SHARE = 0.75;
export const CALM_SHARE = 0.5;
/** So many looks in a row that find the same change its standing. */
export const LOOKS = 5;
const CHRT_TIMEOUT_MS = 5_000;
/** Hundredths of a second, on every architecture that Linux shows to programs. */
const TICKS_PER_SECOND = 100;

/** `urgent`: before everything ordinary. `refused`: the machine does not let us; tried again for another thread. */
export type ThreadStanding = "urgent" | "ordinary" | "refused";

export interface ThreadPriorityOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Processor time that a thread of this process has taken, in milliseconds; undefined when it is gone. */
  readonly cpuMsOf?: (threadId: number) => number | undefined;
  readonly run?: (argv: readonly [string, ...string[]]) => Promise<ProgramResult>;
}

interface Followed {
  readonly threadId: number;
  standing: ThreadStanding;
  atMs: number;
  cpuMs: number;
  busyLooks: number;
  calmLooks: number;
}

export class ThreadPriority {
  readonly #options: Required<ThreadPriorityOptions>;
  #followed: Followed | undefined;

  constructor(options: ThreadPriorityOptions) {
    const { clock } = options;
    this.#options = {
      cpuMsOf: threadCpuMs,
      run: ([file, ...args]) => runProgram({ file, args, clock, timeoutMs: CHRT_TIMEOUT_MS }),
      ...options,
    };
  }

  get standing(): ThreadStanding {
    return this.#followed?.standing ?? "ordinary";
  }

  /** One look at the thread `threadId` (as the kernel numbers it), every second or so. O(1). */
  async look(threadId: number): Promise<void> {
    const atMs = this.#options.clock.monotonic();
    const cpuMs = this.#options.cpuMsOf(threadId);
    if (cpuMs === undefined) return;
    if (this.#followed?.threadId !== threadId) {
      const looks = { busyLooks: 0, calmLooks: 0 };
      const followed: Followed = { threadId, standing: "ordinary", atMs, cpuMs, ...looks };
      this.#followed = followed;
      await this.#put(followed, "urgent");
      return;
    }
    const followed = this.#followed;
    const share = (cpuMs - followed.cpuMs) / Math.max(1, atMs - followed.atMs);
    followed.atMs = atMs;
    followed.cpuMs = cpuMs;
    followed.busyLooks = share > BUSY_SHARE ? followed.busyLooks + 1 : 0;
    followed.calmLooks = share < CALM_SHARE ? followed.calmLooks + 1 : 0;
    if (followed.standing === "urgent" && followed.busyLooks >= LOOKS) {
      this.#options.log.warn("names take much of a processor: they come first no longer", {
        share: Number(share.toFixed(2)),
      });
      await this.#put(followed, "ordinary");
    } else if (followed.standing === "ordinary" && followed.calmLooks >= LOOKS) {
      await this.#put(followed, "urgent");
    }
  }

  async #put(followed: Followed, wanted: "urgent" | "ordinary"): Promise<void> {
    const { log, run } = this.#options;
    const { threadId } = followed;
    // What the thread starts, itself or for others, is ordinary: only it is looked at.
    const kind = wanted === "urgent" ? ["--reset-on-fork", "--fifo"] : ["--other"];
    const priority = wanted === "urgent" ? "1" : "0";
    const result = await run(["chrt", ...kind, "--pid", priority, String(threadId)]);
    if (result.kind === "ended" && result.code === 0) {
      followed.standing = wanted;
      return;
    }
    const reason = result.kind === "missing" ? "there is no chrt" : result.stderr.trim();
    log.info(`the priority of names stays as it is: ${reason}`, { wanted });
    // A thread that may not be made ordinary any more is left to the kernel's limit and tried again.
    if (wanted === "urgent") followed.standing = "refused";
  }
}

function threadCpuMs(threadId: number): number | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/self/task/${threadId}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // Behind the name in parentheses: state is field 3, user and system time are fields 14 and 15 (proc(5)).
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}
