/**
 * What becomes of an agent's report of its tasks: which statuses are written, which tasks it has to stop.
 * A pure function of the view.
 */

import type { Logger } from "@berth/base";
import { comparePositions, isFinal, keys, type Task, type TaskStatus } from "@berth/protocol";
import { type Accepted, accept, unchangedSince } from "../release/refusal.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { Compare, Operation } from "../store/port.ts";

/** Decides on statuses that the agent of `node` sent. The value names the tasks that it has to stop. */
export function acceptStatuses(
  view: ClusterView,
  node: string,
  statuses: readonly TaskStatus[],
  log: Logger,
): Accepted<readonly string[]> {
  const compare: Compare[] = [];
  const operations: Operation[] = [];
  const stop: string[] = [];
  for (const status of newestPerTask(statuses)) {
    const [task] = view.tasks.by("id", status.task);
    if (task === undefined || task.value.node !== node || status.node !== node) {
      if (!isFinal(status.state)) stop.push(status.task);
      continue;
    }
    if (task.value.verdict !== undefined && !isFinal(status.state)) stop.push(status.task);
    const [known] = view.statuses.by("task", status.task);
    if (!isNews(known, status, log)) continue;
    const key = keys.status(task.value, task.value.id);
    // The task still exists: a status without its task would stay for ever.
    compare.push(stillThere(task), unchangedSince(key, known?.revision));
    operations.push({ kind: "put", key, value: encode(status) });
  }
  return accept(stop, compare, operations);
}

/** A report may have several statuses of one task; a transaction changes a key once. */
function newestPerTask(statuses: readonly TaskStatus[]): Iterable<TaskStatus> {
  const newest = new Map<string, TaskStatus>();
  for (const status of statuses) {
    const other = newest.get(status.task);
    if (other === undefined || other.sequence < status.sequence) newest.set(status.task, status);
  }
  return newest.values();
}

function isNews(known: Entity<TaskStatus> | undefined, status: TaskStatus, log: Logger): boolean {
  if (known === undefined) return true;
  if (status.sequence <= known.value.sequence) return false;
  if (comparePositions(known.value, status) <= 0) return true;
  // Received, not decided here: refused and said, no reason to end the process.
  const { task, attempt, state } = status;
  const before = { attempt: known.value.attempt, state: known.value.state };
  log.warn("an agent reported a task as going back", { task, attempt, state, before });
  return false;
}

function stillThere(task: Entity<Task>): Compare {
  return { key: task.key, target: "version", op: ">", value: 0 };
}
