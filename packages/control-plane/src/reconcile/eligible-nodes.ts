/** Nodes that a global service has a copy on: not drained, and meeting its constraints. */

import { keys } from "@berth/protocol";
import { meetsConstraint, parseConstraint } from "@berth/scheduler";
import { nodeModel } from "../plan/node-model.ts";
import type { ClusterView } from "../state/cluster-tables.ts";

/** Names in order. A node that is down stays eligible: its copy goes on when it returns. */
export function eligibleNodes(view: ClusterView, constraints: readonly string[]): string[] {
  const parsed = constraints.flatMap((text) => {
    const result = parseConstraint(text);
    return result.kind === "constraint" ? [result.constraint] : [];
  });
  return view.nodes
    .all()
    .filter(({ value }) => value.availability === "active")
    .filter(({ value }) => {
      const model = nodeModel(value, view.nodeStatuses.get(keys.nodeStatus(value.name))?.value);
      return parsed.every((constraint) => meetsConstraint(model, constraint));
    })
    .map(({ value }) => value.name);
}
