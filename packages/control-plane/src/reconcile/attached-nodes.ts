/**
 * Which nodes have a task attached to a network: also one that was removed, which runs such tasks again when it
 * joins anew, and has to be reached then. Pure; O(addresses of the network).
 */

import { isFinal } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";

/** Names of nodes. */
export function attachedNodes(view: ClusterView, network: string): ReadonlySet<string> {
  const nodes = new Set<string>();
  for (const { value } of view.claims.by("network", network)) {
    for (const id of value.tasks ?? []) {
      const [task] = view.tasks.by("id", id);
      if (task !== undefined && isAttached(view, id)) nodes.add(task.value.node);
    }
  }
  return nodes;
}

/** A task keeps its address until its end is confirmed; a verdict confirms nothing. */
export function isAttached(view: ClusterView, id: string): boolean {
  const [entity] = view.tasks.by("id", id);
  if (entity === undefined) return false;
  const status = statusOf(view, id);
  return status === undefined || !isFinal(status.state);
}
