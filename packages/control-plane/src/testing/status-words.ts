/** What an agent says about a task, in one word of a dialogue. */

import type { Task, TaskStatus } from "@berth/protocol";

/** The next status of `task`. Words: a state, or `ready`, `unready`, `crashed`, an outcome. */
export function statusOf(
  task: Task,
  before: TaskStatus | undefined,
  [word = "", ...rest]: readonly string[],
  now: number,
): TaskStatus {
  const failures = rest.find((each) => each.startsWith("failures="))?.slice("failures=".length);
  const base: TaskStatus = {
    task: task.id,
    node: task.node,
    attempt: 1,
    recentFailures: 0,
    ...before,
    sequence: (before?.sequence ?? 0) + 1,
    state: "assigned",
    ready: false,
    updatedAt: now,
  };
  return { ...base, ...newsOf(word, base, now, Number(failures ?? 1)) };
}

function newsOf(
  word: string,
  base: TaskStatus,
  now: number,
  recentFailures: number,
): Partial<TaskStatus> {
  const startedAt = base.startedAt ?? now;
  const logTail = ["listening soon", "Error: it broke"];
  switch (word) {
    case "pulling":
      return { state: "pulling" };
    case "running":
    case "unready":
      return { state: "running", startedAt };
    case "ready":
      return { state: "running", startedAt, ready: true, readyAt: now };
    case "crashed":
      return { state: "exited", exitCode: 1, exitedAt: now, recentFailures, logTail };
    case "complete":
      return { state: "ended", outcome: "complete", exitCode: 0, exitedAt: now };
    case "failed":
      return { state: "ended", outcome: "failed", exitCode: 2, exitedAt: now, logTail };
    case "rejected":
      return { state: "removed", outcome: "rejected", message: "no such image", exitedAt: now };
    case "removed":
      return { state: "removed", outcome: base.outcome ?? "stopped" };
    default:
      throw new SyntaxError(`no such word about tasks: ${word}`);
  }
}
