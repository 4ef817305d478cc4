/**
 * When a service has failed its rollout, by an ordered table: the first rule that holds for a task gives
 * the reason that people read, with exit code and last lines.
 *
 * Only tasks that this rollout made are looked at: what was broken before is not the new release's fault.
 */

import { formatDuration } from "@berth/base";
import { isFinal, type RolloutFailure, type ServiceSpec, taskName } from "@berth/protocol";
import type { TaskRecord } from "./service-input.ts";
import { isFailureForGood } from "./task-class.ts";
import { exitWords, stateWords } from "./waits.ts";

/** So many unexpected ends make a crash loop: one may be an accident, two a coincidence. */
export const CRASH_LOOP_FAILURES = 3;

/** Lines of the failed container that go with a failure. */
export const FAILURE_LOG_LINES = 50;

interface FailureRule {
  readonly says: string;
  /** The end of the sentence "api-1 on node-2 ...", or nothing when the rule does not hold. */
  readonly reason: (record: TaskRecord, spec: ServiceSpec) => string | undefined;
}

const RULES: readonly FailureRule[] = [
  {
    says: "it could not even be run",
    reason: ({ status }) =>
      status?.outcome === "rejected"
        ? `could not be run: ${status.message ?? status.code ?? "no reason given"}`
        : undefined,
  },
  {
    says: "it ran to an end that is no success",
    reason: ({ status }, spec) =>
      status !== undefined && isFinal(status.state) && isFailureForGood(status, spec)
        ? `exited ${exitWords(status)}`
        : undefined,
  },
  {
    says: "it ends again and again",
    reason: ({ task, status }) => {
      if (status === undefined || status.recentFailures < CRASH_LOOP_FAILURES) return undefined;
      const time = formatDuration(Math.max(0, status.updatedAt - task.createdAt));
      const often = `${status.recentFailures} times in ${time}`;
      if (status.exitCode !== undefined) return `exited ${exitWords(status)}, ${often}`;
      return `could not be started, ${often}: ${status.message ?? "no reason given"}`;
    },
  },
];

/** Why the task fails its rollout; `undefined` when it does not. */
export function taskFailure(record: TaskRecord, spec: ServiceSpec): RolloutFailure | undefined {
  for (const rule of RULES) {
    const reason = rule.reason(record, spec);
    if (reason !== undefined) return failureOf(record, reason);
  }
  return undefined;
}

/** The failure of a rollout that got no further; `record` is what is waited for, if there is something. */
export function deadlineFailure(
  service: string,
  record: TaskRecord | undefined,
  wait: string | undefined,
  deadlineMs: number,
): RolloutFailure {
  const time = `no progress for ${formatDuration(deadlineMs)}`;
  if (record?.status === undefined) {
    const reason = `${time}: ${wait ?? `${service} has no copy`}`;
    return { service, reason, logTail: [] };
  }
  return failureOf(record, `${stateWords(record.status)}; ${time}`);
}

function failureOf({ task, status }: TaskRecord, reason: string): RolloutFailure {
  return {
    service: task.service,
    task: task.id,
    node: task.node,
    reason: `${taskName(task)} on ${task.node} ${reason}`,
    ...(status?.exitCode === undefined ? {} : { exitCode: status.exitCode }),
    logTail: (status?.logTail ?? []).slice(-FAILURE_LOG_LINES),
  };
}
