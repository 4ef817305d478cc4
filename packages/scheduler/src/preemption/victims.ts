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
  readonly takeOff: (task: Held, node: NodeState) => void;
  readonly putBack: (task: Held, node: NodeState) => void;
  /** Do the rules ask for nothing but the node? Then one task less there never makes it unfit. */
  readonly isOfNodeAlone: boolean;
}

/** The victims, the lowest priority first; `undefined` when the ask fits as it is, or not even without them. */
export function victimsOn(node: NodeState, wish: Displacement): readonly Held[] | undefined {
  if (wish.accepts(node)) return undefined;
  const most = displaceable(node, wish);
  if (most.length === 0) return undefined;
  const off = wish.isOfNodeAlone
    ? takeOffUntilItFits(node, most, wish)
    : takeOffAll(node, most, wish);
  const fits = wish.accepts(node);
  const victims: Held[] = [];
  for (const task of off.toReversed()) {
    wish.putBack(task, node);
    if (!fits || wish.accepts(node)) continue;
    wish.takeOff(task, node);
    victims.push(task);
  }
  for (const task of victims) wish.putBack(task, node);
  return fits && victims.length <= VICTIMS_MAX ? victims.reverse() : undefined;
}

function takeOffAll(node: NodeState, tasks: readonly Held[], wish: Displacement): readonly Held[] {
  for (const task of tasks) wish.takeOff(task, node);
  return tasks;
}

/** Those beyond the first with which it fits would all be given back. */
function takeOffUntilItFits(
  node: NodeState,
  tasks: readonly Held[],
  wish: Displacement,
): readonly Held[] {
  let count = 0;
  for (const task of tasks) {
    wish.takeOff(task, node);
    count++;
    if (wish.accepts(node)) break;
  }
  return tasks.slice(0, count);
}

/** Less harm is more: first the highest priority among the victims, then their number. Whole for whole priorities. */
export function mildness(victims: readonly Held[]): number {
  const highest = Math.max(...victims.map(priorityOf));
  return -(highest * (VICTIMS_MAX + 1) + victims.length);
}

/**
 * No set of victims on the node is milder than this; `undefined` when the ask fits as it is, or not even without them
 * (`VICTIMS_MAX` apart). For rules of the node alone. Cost: O(tasks of the node), and the rules for as many as must be
 * taken off in any order; no sorting unless a service is limited.
 */
export function mildnessMost(node: NodeState, wish: Displacement): number | undefined {
  if (wish.accepts(node)) return undefined;
  const lower = node.held.filter((task) => mayGo(task, wish.priority));
  if (lower.length === 0) return undefined;
  let lowest = Number.POSITIVE_INFINITY;
  let isLimited = false;
  for (const task of lower) {
    lowest = Math.min(lowest, priorityOf(task));
    isLimited ||= wish.allowed(task.claims.service) < lower.length;
  }
  // Which tasks of a limited service may go depends on their order.
  const off = isLimited ? displaceable(node, wish) : lower;
  const taken = takeOffUntilItFits(node, off, wish);
  const fits = wish.accepts(node);
  for (const task of taken.toReversed()) wish.putBack(task, node);
  return fits ? -(lowest * (VICTIMS_MAX + 1) + 1) : undefined;
}

function mayGo(task: Held, priority: number): boolean {
  return !task.leaving && task.claims.pod === undefined && priorityOf(task) < priority;
}

/** The lowest priority first, then the larger. */
function displaceable(node: NodeState, { priority, allowed }: Displacement): readonly Held[] {
  const lower: { readonly task: Held; readonly priority: number; readonly size: number }[] = [];
  for (const task of node.held) {
    if (!mayGo(task, priority)) continue;
    lower.push({ task, priority: priorityOf(task), size: sizeOn(node, task) });
  }
  lower.sort(
    (a, b) =>
      a.priority - b.priority || b.size - a.size || compareText(a.task.claims.id, b.task.claims.id),
  );
  const taken = new Map<string, number>();
  const off: Held[] = [];
  for (const { task } of lower) {
    const { service } = task.claims;
    const most = allowed(service);
    if (most < lower.length) {
      const count = (taken.get(service) ?? 0) + 1;
      taken.set(service, count);
      if (count > most) continue;
    }
    off.push(task);
  }
  return off;
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
