/**
 * How full a node will be with an ask on it: the mean over the resources and devices that the ask uses, so
 * that a resource which nobody asks for does not blur the comparison.
 */

import type { NodeState } from "../cluster-state.ts";
import { type Needs, WHOLE_MILLIS } from "../resources.ts";

/** 0 (empty) to 1 (full); 0 for an ask that needs nothing. */
export function usedShare(node: NodeState, needs: Needs): number {
  let sum = 0;
  let count = 0;
  for (const { name, amount } of needs.resources) {
    sum += resourceShare(node, name, amount);
    count++;
  }
  for (const { kind, count: wanted, shareMillis } of needs.devices) {
    sum += deviceShare(node, kind, wanted * shareMillis);
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

/** Share of one resource that will be in use once `amount` more is taken. */
export function resourceShare(node: NodeState, name: string, amount: number): number {
  const total = node.total.get(name) ?? 0;
  // A resource without limit (pids) is never fuller on one node than on another.
  if (total === Number.POSITIVE_INFINITY || total === 0) return 0;
  return Math.min(1, (total - (node.free.get(name) ?? 0) + amount) / total);
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
