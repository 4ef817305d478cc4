/**
 * Never more live tasks in a place than the rollout allows: one where copies are replaced stop-first (all
 * exclusive services, what runs to its end, members within one pod), two elsewhere.
 *
 * Live is a task that was not reported as ended and has no verdict. A free task that was asked to stop and
 * whose node fell silent does not count any more: nobody can say when it ends, and nothing forbids two.
 * Speaks at the commit that makes one task too many.
 */

import { isFinal, keys, type Node, type Task } from "@berth/protocol";
import type { StoreFacts } from "../store-facts.ts";
import type { Written } from "../store-journal.ts";
import { TaskGroups } from "../task-groups.ts";
import type { Checker } from "./checker.ts";

export function slotsChecker(): Checker {
  /** Free tasks that were leaving when their node fell silent. */
  const excused = new Set<string>();
  const isLive = (task: Task, facts: StoreFacts) => {
    const state = facts.statusOf(task.id)?.state;
    const isOver = task.verdict !== undefined || (state !== undefined && isFinal(state));
    return !isOver && !excused.has(task.id);
  };
  const places = new TaskGroups((task, facts) => (isLive(task, facts) ? [placeOf(task)] : []));
  return {
    name: "slots",
    onWritten(written, { cluster: { facts } }, speak) {
      const leaving = newlyExcused(written, facts);
      for (const { id } of leaving) excused.add(id);
      const touched = places.follow(written, facts);
      for (const { id } of leaving) places.put(id, facts);
      for (const place of touched) {
        const tasks = [...places.of(place)];
        if (tasks.length <= 1) continue;
        const max = Math.max(...tasks.map((task) => allowed(task, facts)));
        if (tasks.length <= max) continue;
        const ids = tasks.map(({ id }) => id.slice(0, 4)).join(", ");
        speak(`${tasks.length} live tasks in ${place} where ${max} may be: ${ids}`);
      }
    },
  };
}

function placeOf(task: Task): string {
  const pod = task.podTask === undefined ? "" : ` in the pod of ${task.podTask.slice(0, 4)}`;
  return `${task.stack}/${task.service}.${task.slot}${pod}`;
}

/** By a node that fell silent, or by a task that was asked to stop there. */
function newlyExcused(written: readonly Written[], facts: StoreFacts): Task[] {
  return written.flatMap((each) => {
    if (each.kind === "task") {
      const task = each.now<Task>();
      return task !== undefined && isExcused(task, facts) ? [task] : [];
    }
    const node = each.kind === "node" ? each.now<Node>() : undefined;
    if (node?.contact !== "down") return [];
    return [...facts.task.values()].filter(
      (task) => task.node === node.name && isExcused(task, facts),
    );
  });
}

function isExcused(task: Task, facts: StoreFacts): boolean {
  return (
    task.desired === "stopped" &&
    !task.exclusive &&
    facts.node.get(keys.node(task.node))?.contact === "down"
  );
}

/** How many tasks may live in the place of this one. The place of a pod's member is its pod. */
function allowed(task: Task, facts: StoreFacts): number {
  const spec = facts.releaseOf(task)?.services[task.service]?.spec;
  if (task.podTask !== undefined) return 1;
  if (spec === undefined) return 2;
  const runsOnce = spec.mode === "job" || spec.restart.policy === "no";
  return task.exclusive || runsOnce || spec.update.order === "stop-first" ? 1 : 2;
}
