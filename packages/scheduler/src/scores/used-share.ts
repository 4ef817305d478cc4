/**
 * How full a node will be with an ask on it: the mean over the resources and devices that the ask uses, so
 * that a resource which nobody asks for does not blur the comparison.
 */

import type { Subject } from "../filter.ts";
import type { NodeState } from "../node-state.ts";
import { WHOLE_MILLIS } from "../resources.ts";

/** 0 (empty) to 1 (full); 0 for an ask that needs nothing. */
export function usedShare({ needs, cluster: { columns } }: Subject): (node: NodeState) => number {
  const shares = [
    ...needs.resources.map(({ name, amount }) => resourceShare(columns.of(name), amount)),
    ...needs.devices.map(({ kind, count, shareMillis }) => {
      return (node: NodeState) => deviceShare(node, kind, count * shareMillis);
    }),
  ];
  if (shares.length === 0) return () => 0;
  return (node) => {
    let sum = 0;
    for (const share of shares) sum += share(node);
    return sum / shares.length;
  };
}

/** Share of the resource of a column that will be in use once `amount` more is taken. */
export function resourceShare(column: number, amount: number): (node: NodeState) => number {
  return ({ total, free }) => {
    const all = total[column] ?? 0;
    // A resource without limit (pids) is never fuller on one node than on another.
    if (all === Number.POSITIVE_INFINITY || all === 0) return 0;
    return Math.min(1, (all - (free[column] ?? 0) + amount) / all);
  };
}

function deviceShare(node: NodeState, kind: string, amountMillis: number): number {
  let total = 0;
  let free = 0;
  for (const device of node.devices) {
    if (device.kind !== kind) continue;
    total += WHOLE_MILLIS;
    free += device.freeMillis;
  }
  return total === 0 ? 0 : Math.min(1, (total - free + amountMillis) / total);
}
