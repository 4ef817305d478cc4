/**
 * Checks all running tasks of the node from one loop: what is due is asked, at most `CHECKS_MAX` at once.
 *
 * The runner is woken only when a verdict changes, or a late start has new words, so 50 healthy tasks cost 50 requests a period and
 * nothing else. Checks in steady rhythm are gathered into shared wake-ups. O(log tasks) a check.
 */

import type { Clock, Driver, Loop, LoopResult } from "@berth/base";
import type { Assignment } from "@berth/protocol";
import { withDeadline } from "../task/deadline.ts";
import { type ProbeFacts, TELL_UNREADY_AFTER_MS, type Verdict } from "../task/step-input.ts";
import type { ProbeTarget, TaskProbesPort } from "../task/task-ports.ts";
import { type Checker, failedCheck } from "./checker.ts";
import { DueQueue } from "./due-queue.ts";
import {
  type PlannedProbe,
  PROBE_KINDS,
  type ProbeKind,
  type ProbePlan,
  probePlan,
} from "./probe-plan.ts";
import {
  afterCheck,
  type CheckResult,
  newProgress,
  nextCheckMs,
  type ProbeProgress,
} from "./probe-progress.ts";

/** Checks at once: more would only queue in the kernel and time out there. */
const CHECKS_MAX = 64;
/** Checks in their steady rhythm may come this much late, so that many share one wake-up. */
const GATHER_MS = 100;

interface Watched {
  readonly target: ProbeTarget;
  readonly plan: ProbePlan;
  readonly onChange: () => void;
  readonly abort: AbortController;
  readonly progress: Map<ProbeKind, ProbeProgress>;
  /** Words that were told of why it is not ready yet. */
  told: string | undefined;
}

interface DueCheck {
  readonly watched: Watched;
  readonly kind: ProbeKind;
  readonly probe: PlannedProbe;
}

const PENDING: ProbeFacts = { startup: "pending", ready: "pending", live: "good" };

export class Prober implements TaskProbesPort {
  readonly #clock: Clock;
  readonly #check: Checker;
  readonly #assignmentOf: (task: string) => Assignment | undefined;
  readonly #watched = new Map<string, Watched>();
  readonly #due = new DueQueue<DueCheck>();
  readonly #loop: Loop;
  #running = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly driver: Driver;
    readonly check: Checker;
    /** Of the other tasks of a pod. */
    readonly assignmentOf: (task: string) => Assignment | undefined;
  }) {
    this.#clock = options.clock;
    this.#check = options.check;
    this.#assignmentOf = options.assignmentOf;
    this.#loop = options.driver.add({
      name: "probes",
      purpose: "Checks what is due to be checked.",
      run: () => this.#run(),
    });
  }

  begin(target: ProbeTarget, onChange: () => void): void {
    const { task } = target.assignment;
    this.end(task.id);
    const main = task.podTask === undefined ? undefined : this.#assignmentOf(task.podTask);
    const plan = probePlan(target.assignment, main);
    const progress = new Map<ProbeKind, ProbeProgress>();
    const abort = new AbortController();
    const watched: Watched = { target, plan, onChange, abort, progress, told: undefined };
    this.#watched.set(task.id, watched);
    for (const kind of PROBE_KINDS) {
      if (plan.probes[kind] !== undefined) progress.set(kind, newProgress(target.ready));
    }
    if (plan.probes.startup !== undefined && !target.ready) this.#enqueue(watched, "startup", 0);
    else this.#beginRest(watched);
  }

  end(task: string): void {
    this.#watched.get(task)?.abort.abort(new Error("the container is not checked any more"));
    this.#watched.delete(task);
  }

  factsOf(task: string): ProbeFacts {
    const watched = this.#watched.get(task);
    if (watched === undefined) return PENDING;
    const verdict = (kind: ProbeKind): Verdict => watched.progress.get(kind)?.verdict ?? "good";
    const startup = verdict("startup");
    const messages = PROBE_KINDS.map((kind) => watched.progress.get(kind)?.message);
    const message = messages.find((words) => words !== undefined);
    return {
      startup,
      ready: startup === "good" ? verdict("ready") : "pending",
      live: startup === "good" ? verdict("live") : "good",
      ...(message === undefined ? {} : { message }),
    };
  }

  /** Containers that are checked, and checks under way: for `berth debug`. */
  stats(): { readonly watched: number; readonly running: number; readonly queued: number } {
    return { watched: this.#watched.size, running: this.#running, queued: this.#due.size };
  }

  #beginRest(watched: Watched): void {
    for (const kind of ["ready", "live"] as const) this.#enqueue(watched, kind, 0);
  }

  #enqueue(watched: Watched, kind: ProbeKind, delayMs: number): void {
    const probe = watched.plan.probes[kind];
    if (probe === undefined || watched.abort.signal.aborted) return;
    const now = this.#clock.monotonic();
    const isSteady = watched.progress.get(kind)?.wasGood === true && delayMs > GATHER_MS;
    const due = isSteady ? Math.ceil((now + delayMs) / GATHER_MS) * GATHER_MS : now + delayMs;
    const before = this.#due.nextDue();
    this.#due.add(due, { watched, kind, probe });
    if (before === undefined || due < before) this.#loop.wake();
  }

  #run(): LoopResult {
    const now = this.#clock.monotonic();
    while (this.#running < CHECKS_MAX) {
      const due = this.#due.take(now);
      if (due === undefined) break;
      if (due.watched.abort.signal.aborted) continue;
      this.#running++;
      void this.#ask(due).finally(() => {
        this.#running--;
        if (this.#running === CHECKS_MAX - 1) this.#loop.wake();
      });
    }
    const next = this.#due.nextDue();
    if (next === undefined || this.#running >= CHECKS_MAX) return;
    return { againMs: Math.max(0, next - now) };
  }

  async #ask({ watched, kind, probe }: DueCheck): Promise<void> {
    const result = await this.#all(watched, probe);
    if (watched.abort.signal.aborted) return;
    const before = watched.progress.get(kind) ?? newProgress(false);
    const sinceStartMs = Math.max(0, this.#clock.now() - watched.target.startedAt);
    const after = afterCheck(probe, before, result, sinceStartMs);
    watched.progress.set(kind, after);
    const isStarted = kind === "startup" && after.verdict === "good";
    // A startup probe has said all that it has to say.
    if (isStarted) this.#beginRest(watched);
    else this.#enqueue(watched, kind, nextCheckMs(kind, probe, after, sinceStartMs));
    const isNews = kind !== "live" && hasNews(watched, after, sinceStartMs);
    if (after.verdict !== before.verdict || isNews) watched.onChange();
  }

  /** All checks of one probe, one after another; the first failure is the result. */
  async #all({ target, plan, abort }: Watched, probe: PlannedProbe): Promise<CheckResult> {
    const { timeoutMs } = probe.timing;
    for (const check of probe.checks) {
      const { containerId } = target;
      const request = { check, address: plan.address, containerId, timeoutMs };
      const limit = { ms: timeoutMs, what: `the ${check.kind} check`, parent: abort.signal };
      try {
        const ask = (signal: AbortSignal) => this.#check(request, signal);
        const result = await withDeadline(this.#clock, limit, ask);
        if (!result.isGood) return result;
      } catch (error) {
        return failedCheck(error instanceof Error ? error.message : String(error));
      }
    }
    return { isGood: true };
  }
}

/** A late start fails in other words than were told. */
function hasNews(watched: Watched, after: ProbeProgress, sinceStartMs: number): boolean {
  if (after.wasGood || sinceStartMs < TELL_UNREADY_AFTER_MS) return false;
  if (after.message === undefined || after.message === watched.told) return false;
  watched.told = after.message;
  return true;
}
