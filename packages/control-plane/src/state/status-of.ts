/** The status of a task, by the task's identifier: no key has to be built for it. */

import type { TaskStatus } from "@berth/protocol";
import type { ClusterView } from "./cluster-tables.ts";

/** What the task's agent says; `undefined` until it has reported. O(1). */
export function statusOf(view: ClusterView, taskId: string): TaskStatus | undefined {
  return view.statuses.by("task", taskId)[0]?.value;
}
