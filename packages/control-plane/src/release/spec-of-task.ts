/**
 * The spec by which a task runs: that of its own release, or of the stack's current one when the template
 * is the same. So fields that need no new container (grace periods, drains, rotation) reach running tasks.
 */

import { keys, type Release, type ReleaseService, type Task } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";

export interface SpecOfTask {
  readonly release: Release;
  readonly service: ReleaseService;
}

/** `undefined` when no release with the task's template is there any more. */
export function specOfTask(view: ClusterView, task: Task): SpecOfTask | undefined {
  const current = view.stacks.get(keys.stack(task))?.value.release;
  for (const number of [current, task.release]) {
    if (number === undefined) continue;
    const release = view.releases.get(keys.release(task, number))?.value;
    const service = release?.services[task.service];
    if (release !== undefined && service?.template === task.template) return { release, service };
  }
  return undefined;
}
