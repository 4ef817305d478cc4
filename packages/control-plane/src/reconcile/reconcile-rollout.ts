/**
 * The rollout of a stack: is it complete, has it failed, what follows. Services say how far they are; this
 * decides for the stack as a whole, by an ordered table: the first rule that holds decides.
 *
 * A failed rollout goes back to the last good release as a whole, because services of one release belong
 * together. ADR 0018 tells why a number of an old release is used again instead of a new one.
 */

import type { Release, Rollout, RolloutFailure, Stack } from "@berth/protocol";
import { deadlineFailure, taskFailure } from "./failure.ts";

import type { PlaceReport, ServiceDecision, ServiceInput, TaskRecord } from "./service-input.ts";
import { classify, healthyAt, runsToCompletion } from "./task-class.ts";

/** What the rollout looks at of a service. */
export interface ServiceProgress {
  readonly service: string;
  readonly input: ServiceInput;
  readonly decision: ServiceDecision;
  /** The template of the last good release, if it had the service. */
  readonly goodTemplate: string | undefined;
}

export interface RolloutDecision {
  /** What the stack shall be; absent when nothing changes. */
  readonly stack?: Stack;
  readonly nextLookAtMs?: number;
}

interface Facts {
  readonly stack: Stack;
  readonly rollout: Rollout;
  readonly now: number;
  readonly settled: boolean;
  readonly failure: RolloutFailure | undefined;
  readonly failureAction: "rollback" | "pause" | "continue" | undefined;
  /** The good release, if it is kept and is another one. */
  readonly good: Release | undefined;
}

interface RolloutRule {
  readonly says: string;
  readonly next: (facts: Facts) => Stack | undefined;
}

const RULES: readonly RolloutRule[] = [
  {
    says: "the good release is in place again",
    next: ({ stack, rollout, now, settled }) =>
      settled && rollout.state === "rolling-back"
        ? { ...stack, rollout: { ...rollout, state: "rolled-back", endedAt: now } }
        : undefined,
  },
  {
    says: "the rollback itself fails, and the file asks to wait for a person",
    next: ({ stack, rollout, failure, failureAction, now }) =>
      rollout.state === "rolling-back" && failure !== undefined && failureAction === "pause"
        ? { ...stack, rollout: { ...rollout, state: "paused", failure, endedAt: now } }
        : undefined,
  },
  {
    says: "a rollback goes on until it is done",
    next: ({ stack, rollout }) => (rollout.state === "rolling-back" ? stack : undefined),
  },
  {
    says: "every copy is healthy, also when it was given up before",
    next: ({ stack, rollout, now, settled }) => {
      if (!settled) return undefined;
      const { failure: _healed, ...rest } = rollout;
      const complete: Rollout = { ...rest, state: "complete", endedAt: now };
      return { ...stack, goodRelease: stack.release, rollout: complete };
    },
  },
  {
    says: "it has ended already and waits for a person or for copies to heal",
    next: ({ stack, rollout }) => (rollout.state === "progressing" ? undefined : stack),
  },
  { says: "nothing has failed", next: ({ stack, failure }) => (failure ? undefined : stack) },
  {
    says: "the file asks to wait for a person",
    next: ({ stack, rollout, failure, failureAction, now }) =>
      failure !== undefined && failureAction === "pause"
        ? { ...stack, rollout: { ...rollout, state: "paused", failure, endedAt: now } }
        : undefined,
  },
  {
    says: "the file asks to go back, and there is a good release",
    next: ({ stack, rollout, failure, failureAction, good, now }) =>
      failure !== undefined && failureAction === "rollback" && good !== undefined
        ? {
            ...stack,
            release: good.number,
            rollout: {
              ...rollout,
              release: stack.release,
              from: good.number,
              state: "rolling-back",
              progressAt: now,
              failure,
            },
          }
        : undefined,
  },
  {
    says: "there is nothing to go back to",
    next: ({ stack, rollout, failure, now }) =>
      failure === undefined
        ? undefined
        : { ...stack, rollout: { ...rollout, state: "failed", failure, endedAt: now } },
  },
];

/** What becomes of the stack's rollout. */
export function reconcileRollout(
  stack: Stack,
  services: readonly ServiceProgress[],
  now: number,
  good: Release | undefined,
): RolloutDecision {
  const { rollout } = stack;
  if (rollout === undefined || rollout.state === "complete" || rollout.state === "rolled-back") {
    return {};
  }
  const progressAt = Math.max(rollout.progressAt, ...services.map((each) => lastProgress(each)));
  const seen = { ...rollout, progressAt };
  const unsettled = services.filter((each) => !isSettled(each, rollout));
  const deadline = deadlineOf(unsettled, progressAt);
  const failing = failureIn(services, unsettled, seen, deadline, now);
  const next = RULES.map(
    (rule) => () =>
      rule.next({
        stack,
        rollout: seen,
        now,
        settled: unsettled.length === 0,
        failure: failing?.failure,
        failureAction: failing?.action,
        good: good?.number === stack.release ? undefined : good,
      }),
  ).reduce<Stack | undefined>((found, rule) => found ?? rule(), undefined);
  const isMoving = rollout.state === "progressing" || rollout.state === "rolling-back";
  const nextLookAtMs = isMoving ? deadline?.at : undefined;
  const look = nextLookAtMs === undefined || nextLookAtMs <= now ? {} : { nextLookAtMs };
  if (next === undefined || next === stack) return look;
  return { stack: next, ...look };
}

/** Every place is done, and nothing outdated is left that was not asked to stop. */
function isSettled(progress: ServiceProgress, rollout: Rollout): boolean {
  const { input, decision } = progress;
  if (decision.starts.length > 0 || decision.stops.length > 0) return false;
  const open = decision.places.filter((place) => !isPlaceSettled(place, progress, rollout));
  const spared = new Set(open.filter((place) => isFailing(place, input)).map(keyOfPlace));
  if (spared.size < open.length || !isTolerated(spared.size, progress)) return false;
  return !input.tasks.some((record) => {
    const kind = classify(record, input);
    if (kind === "surplus" || kind === "following") return true;
    // The old copy of a place that may fail stays until the new one is healthy after all.
    return kind === "outdated" && !spared.has(input.placeKeyOf(record.task));
  });
}

function keyOfPlace({ place }: PlaceReport): string {
  return place.key;
}

function isFailing({ record }: PlaceReport, { target }: ServiceInput): boolean {
  return (
    record !== undefined && target !== undefined && taskFailure(record, target.spec) !== undefined
  );
}

/** The file bears with so many copies that fail, of those that it wants. */
function isTolerated(failing: number, { input, decision }: ServiceProgress): boolean {
  if (failing === 0) return true;
  const ratio = input.target?.spec.update.maxFailureRatio ?? 0;
  return ratio > 0 && failing / Math.max(1, decision.places.length) <= ratio;
}

/**
 * A copy that was there before the rollout, of a template that was good before, needs to prove nothing:
 * otherwise a service that fails for reasons of its own would have every later deploy rolled back.
 */
function isPlaceSettled(
  { state, record }: PlaceReport,
  { input, goodTemplate }: ServiceProgress,
  rollout: Rollout,
): boolean {
  if (state === "settled" || state === "completed") return true;
  if (record === undefined || state === "old" || state === "waiting") return false;
  const wasThere = record.task.createdAt < rollout.startedAt;
  return wasThere && goodTemplate === input.target?.template;
}

/** When the service last got further: a copy became healthy, a job ended, bytes of an image arrived. */
function lastProgress({ input, decision }: ServiceProgress): number {
  const spec = input.target?.spec;
  let last = Number.NEGATIVE_INFINITY;
  if (spec === undefined) return last;
  for (const { state, record } of decision.places) {
    const status = record?.status;
    if (record === undefined || status === undefined) continue;
    if (state === "settled") last = Math.max(last, healthyAt(record, spec) ?? last);
    if (state === "completed") last = Math.max(last, status.exitedAt ?? status.updatedAt);
    if (state === "coming" && status.state === "pulling") last = Math.max(last, status.updatedAt);
  }
  return Math.min(last, input.now);
}

interface Deadline {
  readonly at: number;
  readonly progress: ServiceProgress;
}

/**
 * When the rollout has failed for want of progress; none while a job is running, which takes its time, or
 * while a person has a copy out of service: nobody is to be rolled back for having looked.
 */
function deadlineOf(
  unsettled: readonly ServiceProgress[],
  progressAt: number,
): Deadline | undefined {
  let last: Deadline | undefined;
  for (const progress of unsettled) {
    const spec = progress.input.target?.spec;
    if (spec === undefined) continue;
    const runs = progress.decision.places.some(({ record }) => record?.status?.state === "running");
    if (runsToCompletion(spec) && runs) return undefined;
    if (progress.decision.places.some(isPaused)) return undefined;
    const at = progressAt + spec.update.progressDeadlineMs;
    if (last === undefined || at > last.at) last = { at, progress };
  }
  return last;
}

function isPaused({ state, record }: PlaceReport): boolean {
  return state === "coming" && record?.task.paused !== undefined;
}

interface Failing {
  readonly failure: RolloutFailure;
  readonly action: "rollback" | "pause" | "continue";
}

function failureIn(
  services: readonly ServiceProgress[],
  unsettled: readonly ServiceProgress[],
  rollout: Rollout,
  deadline: Deadline | undefined,
  now: number,
): Failing | undefined {
  for (const progress of services) {
    const { input } = progress;
    const spec = input.target?.spec;
    // `continue` bears with single failures, not with a rollout that gets nowhere.
    if (spec === undefined || spec.update.failureAction === "continue") continue;
    const failing = newOfTarget(input, rollout).flatMap((record) => {
      const failure = taskFailure(record, spec);
      return failure === undefined ? [] : [{ failure, place: input.placeKeyOf(record.task) }];
    });
    const places = new Set(failing.map(({ place }) => place));
    if (failing[0] === undefined || isTolerated(places.size, progress)) continue;
    return { failure: failing[0].failure, action: spec.update.failureAction };
  }
  if (deadline === undefined || deadline.at > now) return undefined;
  const stuck = unsettled.find(hasWaitingPlace) ?? deadline.progress;
  const spec = stuck.input.target?.spec;
  const place = stuck.decision.places.find(({ state }) => state !== "settled");
  const wait = stuck.decision.waits[0]?.message;
  const deadlineMs = deadline.at - rollout.progressAt;
  return {
    failure: deadlineFailure(stuck.service, place?.record, wait, deadlineMs),
    action: spec?.update.failureAction ?? "rollback",
  };
}

/** The one to blame: a copy that does not become ready, rather than one that waits for it. */
function hasWaitingPlace({ decision }: ServiceProgress): boolean {
  return decision.places.some(({ state }) => state === "coming" || state === "failed");
}

function newOfTarget(input: ServiceInput, rollout: Rollout): readonly TaskRecord[] {
  return input.tasks.filter(
    ({ task }) =>
      task.createdAt >= rollout.startedAt &&
      task.template === input.target?.template &&
      task.desired === "running" &&
      task.verdict === undefined,
  );
}
