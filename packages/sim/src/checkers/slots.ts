/**
 * Never more live tasks in a place than the rollout allows: one where copies are replaced stop-first (all
 * exclusive services, what runs to its end, members within one pod), two elsewhere.
 *
 * Live is a task that was not reported as ended and has no verdict. A free task that was asked to stop and
 * whose node fell silent does not count any more: nobody can say when it ends, and nothing forbids two.
 * Speaks at the commit that makes one task too many.
 */

import { isFinal, keys, parseKey, type Task } from "@berth/protocol";
import type { StoreFacts } from "../store-facts.ts";
import type { Checker } from "./checker.ts";

export function slotsChecker(): Checker {
  /** Free tasks that were leaving when their node fell silent. */
  const excused = new Set<string>();
  return {
    name: "slots",
    onWritten(written, { cluster: { facts } }, speak) {
      const kinds = new Set(written.map(({ key }) => parseKey(key)?.kind));
      if (!kinds.has("task") && !kinds.has("status") && !kinds.has("node")) return;
      for (const task of facts.task.values()) if (isExcused(task, facts)) excused.add(task.id);
      for (const [place, tasks] of livePlaces(facts, excused)) {
        const max = Math.max(...tasks.map((task) => allowed(task, facts)));
        if (tasks.length <= max) continue;
        const ids = tasks.map(({ id }) => id.slice(0, 4)).join(", ");
        speak(`${tasks.length} live tasks in ${place} where ${max} may be: ${ids}`);
      }
    },
  };
}

function isExcused(task: Task, facts: StoreFacts): boolean {
  return (
    task.desired === "stopped" &&
    !task.exclusive &&
    facts.node.get(keys.node(task.node))?.contact === "down"
  );
}

function livePlaces(facts: StoreFacts, excused: ReadonlySet<string>): Map<string, Task[]> {
  const places = new Map<string, Task[]>();
  for (const task of facts.task.values()) {
    const status = facts.statusOf(task.id);
    const over = task.verdict !== undefined || (status !== undefined && isFinal(status.state));
    if (over || excused.has(task.id)) continue;
    const pod = task.podTask === undefined ? "" : ` in the pod of ${task.podTask.slice(0, 4)}`;
    const place = `${task.stack}/${task.service}.${task.slot}${pod}`;
    const tasks = places.get(place);
    if (tasks === undefined) places.set(place, [task]);
    else tasks.push(task);
  }
  return places;
}

/** How many tasks may live in the place of this one. The place of a pod's member is its pod. */
function allowed(task: Task, facts: StoreFacts): number {
  const spec = facts.releaseOf(task)?.services[task.service]?.spec;
  if (task.podTask !== undefined) return 1;
  if (spec === undefined) return 2;
  const runsOnce = spec.mode === "job" || spec.restart.policy === "no";
  return task.exclusive || runsOnce || spec.update.order === "stop-first" ? 1 : 2;
}
