/**
 * Nodes that a global service has a copy on: not drained, meeting its constraints, without a taint that it does
 * not tolerate. A cordon does not concern them: the copy belongs to that very node.
 */

import { keys, type ServiceSpec } from "@berth/protocol";
import { meetsConstraint, parseConstraint, tolerates } from "@berth/scheduler";
import { nodeModel, OWN_TAINTS } from "../plan/node-model.ts";
import type { ClusterView } from "../state/cluster-tables.ts";

/**
 * Names in order. A node that is down stays eligible: its copy goes on when it returns. So does one that got a
 * taint while a copy runs there (`hasCopy`): taints keep new copies away. `no-execute` takes those as well.
 */
/** Neither constraints nor taints speak of devices. */
const NO_KINDS: ReadonlySet<string> = new Set();

export function eligibleNodes(
  view: ClusterView,
  { constraints, tolerations = [] }: Pick<ServiceSpec, "constraints" | "tolerations">,
  hasCopy: (node: string) => boolean = () => false,
): string[] {
  const parsed = constraints.flatMap((text) => {
    const result = parseConstraint(text);
    return result.kind === "constraint" ? [result.constraint] : [];
  });
  const tolerated = [...tolerations, ...OWN_TAINTS];
  return view.nodes
    .all()
    .filter(({ value }) => value.availability !== "draining")
    .filter(({ value }) => {
      const status = view.nodeStatuses.get(keys.nodeStatus(value.name))?.value;
      const model = nodeModel(value, status, NO_KINDS);
      if (!parsed.every((constraint) => meetsConstraint(model, constraint))) return false;
      const borne = model.taints.filter((taint) => !tolerates(tolerated, taint));
      if (borne.some(({ effect }) => effect === "no-execute")) return false;
      return !borne.some(({ effect }) => effect === "no-schedule") || hasCopy(value.name);
    })
    .map(({ value }) => value.name);
}
