/**
 * What an ended attempt means: a failure or not, when the next may begin, whether there is a next one.
 * Pure. Design page: docs/design/tasks.md
 */

import type { OperationFailure } from "./operation.ts";
import { advance, type TaskRecord } from "./record.ts";
import { failuresWith, isHopeless, mayRestart, restartDelayMs, retryDelayMs } from "./restart.ts";
import type { RuleInput } from "./rule.ts";
import { hasEnded } from "./step-input.ts";

/** The record after the container of a running or starting task was found ended or gone. */
export function afterExit(input: RuleInput): TaskRecord {
  const { record, facts } = input;
  const exit = exitFacts(input);
  const gone = { ready: false, everRan: true, ...exit };
  // A reboot is no fault of the task: it counts for nothing and the next attempt begins at once.
  if (record.bootId !== facts.bootId) {
    return advance(record, "exited", { ...gone, message: "the host was restarted" });
  }
  if (exit.exitCode === 0 && input.assignment.spec.restart.policy !== "always") {
    return advance(record, "exited", { ...gone, message: "exited with code 0" });
  }
  return advance(record, "exited", { ...gone, ...failed(input), message: words(input) });
}

/** The record after we ended the process of an attempt to begin the next. */
export function afterLeaving(input: RuleInput): TaskRecord {
  const { record } = input;
  const gone = { ...exitFacts(input), ready: false };
  // A task is not to blame for the container that it shares with; a failed probe is a failure like an exit.
  if (isBlameless(record)) return advance(record, "exited", gone);
  return advance(record, "exited", { ...gone, ...failed(input) });
}

/** Facts of an ended process, as far as the engine tells. */
export function exitFacts({ container, now }: RuleInput): Partial<TaskRecord> {
  if (container === undefined || !hasEnded(container)) return { exitedAt: now };
  return {
    exitedAt: container.finishedAt ?? now,
    oomKilled: container.oomKilled,
    ...(container.exitCode === undefined ? {} : { exitCode: container.exitCode }),
  };
}

/** The record after an operation failed for good. */
export function afterFailure(
  record: TaskRecord,
  failure: OperationFailure,
  now: number,
): TaskRecord {
  const said = { message: failure.message, code: failure.code, ready: false };
  if (isHopeless(failure.code, record)) {
    return advance(record, "ended", { ...said, outcome: "rejected" });
  }
  const next = oneMoreFailure(record, now);
  const nextAttemptAt = now + retryDelayMs(next.failuresInRow);
  return advance(record, "exited", { ...said, exitedAt: now, ...next, nextAttemptAt });
}

/** No attempt will follow: the file's policy forbids it. */
export function isOver({ record, assignment }: RuleInput): boolean {
  // Ended by us for the pod's sake, or never started: the policy speaks of processes that ended.
  if (isBlameless(record) || record.startedAt === undefined) return false;
  return !mayRestart(assignment.spec.restart, ownExitCode(record), record.restarts);
}

/** It was ended for reasons outside of it: for the pod's sake, the host's, or another node's. */
export function isBlameless({ stopCause }: TaskRecord): boolean {
  return stopCause === "pod" || stopCause === "host" || stopCause === "isolated";
}

/**
 * The exit code with which the process ended by itself. Ended by us for a failed probe, it may well say 0: that
 * is how a careful program answers a signal, and no success.
 */
export function ownExitCode({ stopCause, exitCode }: TaskRecord): number | undefined {
  return stopCause === "live" || stopCause === "startup" ? undefined : exitCode;
}

/** One more failure, and when the next attempt may begin. */
function failed({ record, assignment, now }: RuleInput): Partial<TaskRecord> {
  const next = oneMoreFailure(record, now);
  const pauseMs = restartDelayMs(next.failuresInRow, assignment.spec.restart);
  return { ...next, nextAttemptAt: now + pauseMs };
}

function oneMoreFailure(record: TaskRecord, now: number) {
  return { failures: failuresWith(record, now), failuresInRow: record.failuresInRow + 1 };
}

function words({ container }: RuleInput): string {
  if (container === undefined) return "its container was removed by somebody else";
  if (container.oomKilled) return "was killed because its memory ran out";
  if (container.error !== undefined && container.error !== "") return container.error;
  return `exited with code ${container.exitCode ?? "unknown"}`;
}
