/**
 * From checks to a verdict, and when the next check is due. Pure, O(1).
 *
 * Until a probe is good for the first time, checks come quickly (a tenth of the time since the start), so
 * that a copy is ready soon after it could be; but failures count only in the rhythm that the file gives,
 * so that quick checks never turn a probe bad before its time.
 */

import type { Verdict } from "../task/step-input.ts";
import type { PlannedProbe, ProbeKind } from "./probe-plan.ts";

export interface ProbeProgress {
  readonly verdict: Verdict;
  /** Was good at some time of this attempt. */
  readonly wasGood: boolean;
  readonly successesInRow: number;
  readonly failuresInRow: number;
  /** When a failure counted last, milliseconds since the start. */
  readonly countedMs: number;
  /** Words of the last failed check. */
  readonly message?: string;
}

export interface CheckResult {
  readonly isGood: boolean;
  readonly message?: string;
}

/** The first check is at once; the next is never sooner than this: connects cost little, commands do not. */
const QUICK_MS_MIN = { connect: 10, exec: 100 } as const;
/** Share of the time since the start that passes between quick checks. */
const QUICK_SHARE = 0.1;

export function newProgress(isGood: boolean): ProbeProgress {
  return {
    verdict: isGood ? "good" : "pending",
    wasGood: isGood,
    successesInRow: isGood ? 1 : 0,
    failuresInRow: 0,
    countedMs: Number.NEGATIVE_INFINITY,
  };
}

/** The progress after one round of checks that ended `sinceStartMs` after the container's start. */
export function afterCheck(
  { timing }: PlannedProbe,
  progress: ProbeProgress,
  result: CheckResult,
  sinceStartMs: number,
): ProbeProgress {
  if (result.isGood) {
    const successesInRow = progress.successesInRow + 1;
    const isGood = progress.verdict === "good" || successesInRow >= timing.successThreshold;
    const { message: _over, ...rest } = progress;
    return {
      ...rest,
      successesInRow,
      failuresInRow: 0,
      verdict: isGood ? "good" : progress.verdict,
      wasGood: progress.wasGood || isGood,
    };
  }
  const said = result.message === undefined ? {} : { message: result.message };
  const missed = { ...progress, successesInRow: 0, ...said };
  if (!counts(timing, progress, sinceStartMs)) return missed;
  const failuresInRow = progress.failuresInRow + 1;
  const isBad = failuresInRow >= timing.failureThreshold;
  return {
    ...missed,
    failuresInRow,
    countedMs: sinceStartMs,
    verdict: isBad ? "bad" : progress.verdict,
  };
}

function counts(
  timing: PlannedProbe["timing"],
  progress: ProbeProgress,
  sinceStartMs: number,
): boolean {
  if (progress.wasGood) return true;
  if (sinceStartMs < timing.startPeriodMs) return false;
  return sinceStartMs - progress.countedMs >= timing.intervalMs;
}

/** Milliseconds from the end of one check to the next. */
export function nextCheckMs(
  kind: ProbeKind,
  { timing, checks }: PlannedProbe,
  progress: ProbeProgress,
  sinceStartMs: number,
): number {
  if (progress.wasGood) return timing.intervalMs;
  const inPeriod = sinceStartMs < timing.startPeriodMs;
  const usual = inPeriod ? timing.startIntervalMs : timing.intervalMs;
  // A live probe asks whether something has died: nobody waits for its first success.
  if (kind === "live") return usual;
  const least = checks.some((check) => check.kind === "exec")
    ? QUICK_MS_MIN.exec
    : QUICK_MS_MIN.connect;
  return Math.min(usual, Math.max(least, sinceStartMs * QUICK_SHARE));
}
