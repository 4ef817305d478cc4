/**
 * Which tasks of a node must go so that an ask fits there?
 *
 * Only tasks of strictly lower priority that stay and belong to no pod, of each service not more than may be
 * displaced. All of them are taken off; then they are given back, the highest priority first and the smaller
 * before the larger, as long as the ask still fits. So giving any one of the victims back breaks the fit.
 * Cost: O(tasks of the node × (log tasks + rules)). The node is left as it was.
 */

import { PRIORITY_DEFAULT } from "../batch.ts";
import { compareText } from "../cluster-state.ts";
import type { Held } from "../held.ts";
import type { NodeState } from "../node-state.ts";

/** Most victims of one placement: one that needs more does more harm than good. */
export const VICTIMS_MAX = 999;

export interface Displacement {
  /** Priority of the ask. */
  readonly priority: number;
  /** How many more tasks of the service may be displaced. */
  readonly allowed: (service: string) => number;
  /** Does the ask fit on the node as it is now? */
  readonly accepts: (node: NodeState) => boolean;
  /** Take a task off the node, and put it back. */
  readonly takeOff: (task: Held) => void;
  readonly putBack: (task: Held) => void;
}

/** The victims, the lowest priority first; `undefined` when the ask fits as it is, or not even without them. */
export function victimsOn(node: NodeState, wish: Displacement): readonly Held[] | undefined {
  if (wish.accepts(node)) return undefined;
  const off = displaceable(node, wish);
  if (off.length === 0) return undefined;
  for (const task of off) wish.takeOff(task);
  const fits = wish.accepts(node);
  const victims: Held[] = [];
  for (const task of off.toReversed()) {
    wish.putBack(task);
    if (!fits || wish.accepts(node)) continue;
    wish.takeOff(task);
    victims.push(task);
  }
  for (const task of victims) wish.putBack(task);
  return fits && victims.length <= VICTIMS_MAX ? victims.reverse() : undefined;
}

/** Less harm is more: first the highest priority among the victims, then their number. Whole for whole priorities. */
export function mildness(victims: readonly Held[]): number {
  const highest = Math.max(...victims.map(priorityOf));
  return -(highest * (VICTIMS_MAX + 1) + victims.length);
}

/** The lowest priority first, then the larger. */
function displaceable(node: NodeState, { priority, allowed }: Displacement): readonly Held[] {
  const lower = node.held.filter(
    (task) => !task.leaving && task.claims.pod === undefined && priorityOf(task) < priority,
  );
  const sizes = new Map(lower.map((task) => [task, sizeOn(node, task)]));
  const size = (task: Held) => sizes.get(task) ?? 0;
  lower.sort(
    (a, b) =>
      priorityOf(a) - priorityOf(b) || size(b) - size(a) || compareText(a.claims.id, b.claims.id),
  );
  const taken = new Map<string, number>();
  return lower.filter(({ claims: { service } }) => {
    const count = (taken.get(service) ?? 0) + 1;
    taken.set(service, count);
    return count <= allowed(service);
  });
}

function priorityOf({ claims }: Held): number {
  return claims.priority ?? PRIORITY_DEFAULT;
}

/** Share of the node that the task takes, summed over the built-in resources. */
function sizeOn({ total }: NodeState, { needs }: Held): number {
  let size = 0;
  for (const { name, amount } of needs.resources) {
    const all = total[BUILT_IN.indexOf(name)] ?? 0;
    if (all > 0) size += amount / all;
  }
  return size;
}

/** In the order of their columns (`resource-columns.ts`). */
const BUILT_IN: readonly string[] = ["cpu", "memory", "disk", "pids"];
