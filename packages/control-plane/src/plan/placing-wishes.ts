/** What a service and its project wish about the choice of nodes, and what a task was measured to use. */

import { keys, type ServiceSpec, type Task } from "@berth/protocol";
import type { Ask, MeasuredUse } from "@berth/scheduler";
import type { ClusterView } from "../state/cluster-tables.ts";

/** The service's own words before those of its project. */
export function placingWishes(
  view: ClusterView,
  project: string,
  { strategy, weights, class: serviceClass = "guaranteed" }: ServiceSpec,
): Pick<Ask, "strategy" | "weights" | "overcommit"> {
  const policy = view.policies.get(keys.policy(project))?.value;
  const merged = { ...policy?.weights, ...weights };
  const overcommit = serviceClass === "guaranteed" ? undefined : policy?.overcommit?.[serviceClass];
  return {
    ...(strategy === undefined ? {} : { strategy }),
    ...(Object.keys(merged).length === 0 ? {} : { weights: merged }),
    ...(overcommit === undefined ? {} : { overcommit }),
  };
}

/** The most that the task used lately, as its agent said; nothing while it was not measured for long enough. */
export function measuredUse(
  view: ClusterView,
  { id, node }: Pick<Task, "id" | "node">,
): MeasuredUse | undefined {
  return view.nodeStatuses.get(keys.nodeStatus(node))?.value.use?.[id];
}
