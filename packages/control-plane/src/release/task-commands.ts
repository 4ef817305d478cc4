/**
 * What a person may ask of one copy: out of service while it runs on, and back.
 *
 * The wish lies on the task itself: it goes to the agent with the assignment, survives every restart, and
 * ends with the task. Replacing the copy (a new release, a restart) is not held up: what is paused is this
 * copy, not its place. Pure. Design page: docs/design/draining.md
 */

import {
  isFinal,
  type Pause,
  serviceKey,
  stackKey,
  type Task,
  type TaskStatus,
  taskName,
} from "@berth/protocol";
import { readySince } from "../reconcile/task-class.ts";
import { type ClusterView, environmentOf } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { Compare } from "../store/port.ts";
import { accept, type Decision, type Refusal, refuse, unchangedSince } from "./refusal.ts";

export interface TaskScope {
  readonly project: string;
  readonly environment: string;
  readonly task: string;
}

export interface PauseRequest {
  readonly scope: TaskScope;
  readonly by: string;
  readonly reason?: string;
  /** Also when no other copy is ready. */
  readonly force: boolean;
  readonly now: number;
}

/** Takes a copy out of service. Repeating it changes nothing. */
export function pauseTask(view: ClusterView, request: PauseRequest): Decision<Task> {
  const { scope, by, reason, force, now } = request;
  const found = livingTask(view, scope);
  if ("kind" in found) return found;
  const { key, revision, value: task } = found;
  if (task.paused !== undefined) return accept(task, [unchangedSince(key, revision)], []);
  const other = otherReady(view, task);
  if (!force && other === undefined && isReady(view, task)) {
    const service = `${stackKey(task)}/${task.service}`;
    const message = `${taskName(task)} is the only ready copy of ${service}`;
    return refuse("last_ready_copy", message, { task: task.id, service });
  }
  const paused: Pause = { at: now, by, ...(reason === undefined ? {} : { reason }) };
  const value: Task = { ...task, paused };
  // Two people who pause two copies at once must not both count on the other's.
  const counted: Compare[] = other === undefined ? [] : [unchangedSince(other.key, other.revision)];
  return accept(
    value,
    [unchangedSince(key, revision), ...counted],
    [{ kind: "put", key, value: encode(value) }],
  );
}

/** Puts a copy back into service. Repeating it changes nothing. */
export function resumeTask(view: ClusterView, scope: TaskScope): Decision<Task> {
  const found = livingTask(view, scope);
  if ("kind" in found) return found;
  const { key, revision, value: task } = found;
  if (task.paused === undefined) return accept(task, [unchangedSince(key, revision)], []);
  const { paused: _over, ...value } = task;
  return accept(
    value,
    [unchangedSince(key, revision)],
    [{ kind: "put", key, value: encode(value) }],
  );
}

function livingTask(view: ClusterView, scope: TaskScope): Entity<Task> | Refusal {
  const [found] = view.tasks.by("id", scope.task);
  if (found === undefined || environmentOf(found.value) !== environmentOf(scope)) {
    return refuse("not_found", `there is no task ${scope.task}`);
  }
  const { value: task } = found;
  const status = statusOf(view, task);
  const isOver = status !== undefined && isFinal(status.state);
  if (task.desired === "running" && task.verdict === undefined && !isOver) return found;
  const why = task.stopReason === undefined ? "" : `: ${task.stopReason}`;
  const message = `${taskName(task)} ${isOver ? "has ended" : `is to stop${why}`}`;
  return refuse("conflict", message, { task: task.id });
}

function otherReady(view: ClusterView, task: Task): Entity<Task> | undefined {
  return view.tasks
    .by("stack", stackKey(task))
    .find(
      ({ value }) =>
        value.id !== task.id && serviceKey(value) === serviceKey(task) && isReady(view, value),
    );
}

/** Gets requests, and is to go on doing so. */
function isReady(view: ClusterView, task: Task): boolean {
  const serves = task.desired === "running" && task.verdict === undefined;
  return serves && task.paused === undefined && readySince(statusOf(view, task)) !== undefined;
}

function statusOf(view: ClusterView, task: Task): TaskStatus | undefined {
  return view.statuses.by("task", task.id)[0]?.value;
}
