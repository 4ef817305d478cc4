/**
 * When and whether a task is started again after an attempt has ended.
 *
 * The first restart is immediate, so that a lone crash costs only the start; further ones wait longer each
 * time, until an attempt has lived long enough to be called healthy. Pure; O(failures in the window).
 * Design page: docs/design/tasks.md
 */

import { backoffMs, MINUTE_MS } from "@berth/base";
import type { RestartSpec } from "@berth/protocol";
import type { TaskRecord } from "./record.ts";

/** Pauses before the second and further restarts: short enough to ride over a slow dependency. */
export const RESTART_BACKOFF = { initialMs: 100, maxMs: 5 * MINUTE_MS } as const;

/** An attempt that lived this long ends the row of failures: a crash after it restarts at once again. */
export const HEALTHY_AFTER_MS = 10 * MINUTE_MS;

/** `recentFailures` of a status counts these. */
export const FAILURES_WINDOW_MS = 10 * MINUTE_MS;

/** More are not kept: the count is for people and for rollouts, whose limits are far lower. */
export const FAILURES_KEPT_MAX = 100;

/** Codes that say that no retry on this node can help while nobody changes the release. */
const HOPELESS: ReadonlySet<string> = new Set([
  "image_unavailable",
  "build_failed",
  "invalid_request",
  "invalid_stack",
  "limit_exceeded",
  "policy_denied",
  "not_implemented",
  "body_too_large",
]);

/** Whether a failed preparation makes the task impossible rather than late. */
export function isHopeless(code: string, record: TaskRecord): boolean {
  // What ran once is kept alive without the server: a registry that is gone today may be back tomorrow.
  return !record.everRan && HOPELESS.has(code);
}

/** Failures of the window with one more at `now`. */
export function failuresWith(record: TaskRecord, now: number): readonly number[] {
  return [...recentFailures(record, now), now].slice(-FAILURES_KEPT_MAX);
}

export function recentFailures(record: TaskRecord, now: number): readonly number[] {
  return record.failures.filter((at) => at > now - FAILURES_WINDOW_MS);
}

/**
 * Pause before the next attempt when `failuresInRow` attempts failed, the last one included; never shorter
 * than the file says.
 */
export function restartDelayMs(failuresInRow: number, { delayMs = 0 }: RestartSpec): number {
  const pauseMs = failuresInRow <= 1 ? 0 : backoffMs(failuresInRow - 1, RESTART_BACKOFF);
  return Math.max(delayMs, pauseMs);
}

/** No pause that we make is longer: one that is comes of a clock that was set back. */
export function restartDelayMsMax({ delayMs = 0 }: RestartSpec): number {
  return Math.max(delayMs, RESTART_BACKOFF.maxMs);
}

/** Pauses after attempts that never ran: what stood in the way (engine, network, disk) takes its time. */
export const RETRY_BACKOFF = { initialMs: 1_000, maxMs: 5 * MINUTE_MS } as const;

/** Pause before the next attempt when the last one failed before its process ran. */
export function retryDelayMs(failuresInRow: number): number {
  return backoffMs(failuresInRow, RETRY_BACKOFF);
}

/** Whether the file's policy lets an ended process be followed by another. */
export function mayRestart(
  policy: RestartSpec,
  exitCode: number | undefined,
  restarts: number,
): boolean {
  switch (policy.policy) {
    case "no":
      return false;
    case "on-failure":
      return exitCode !== 0 && belowMax(policy, restarts);
    case "always":
      return belowMax(policy, restarts);
  }
}

function belowMax(policy: RestartSpec, restarts: number): boolean {
  return policy.maxAttempts === undefined || restarts < policy.maxAttempts;
}
