/**
 * Which devices of its node a task gets: the first that no other task holds, in the node's order.
 *
 * The scheduler counts devices, so there is one for each that is asked for; which one is decided here, with the plan,
 * and written into the task. Where a person states how many of a kind a node has, that kind is only counted:
 * nobody says then which device a count stands for. Cost: O(tasks of the node).
 */

import { isFinal, keys, type NodeDevice, type ServiceSpec, type Task } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { type Obstacle, obstacle, type PlanContext } from "./plan-context.ts";

/** In the order of kinds; empty where the service asks for none. */
export function planDevices(
  context: PlanContext,
  { countables = {} }: Pick<ServiceSpec, "countables">,
  node: string,
): readonly NodeDevice[] | Obstacle {
  const { view } = context.input;
  const there = view.nodeStatuses.get(keys.nodeStatus(node))?.value.devices ?? [];
  const stated = view.nodes.get(keys.node(node))?.value.countables ?? {};
  const kinds = new Set(there.map(({ kind }) => kind));
  const wanted = Object.entries(countables)
    .filter(([kind, count]) => count > 0 && kinds.has(kind) && !Object.hasOwn(stated, kind))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (wanted.length === 0) return [];
  const held = heldDevices(view, node, [...context.input.inFlight.tasks(), ...context.planned]);
  const given: NodeDevice[] = [];
  for (const [kind, count] of wanted) {
    const free = there.filter((each) => each.kind === kind && !held.has(nameOf(each)));
    if (free.length < count) {
      const left = free.length === 0 ? "none" : `only ${free.length}`;
      return obstacle("device", `of ${count} ${kind} ${left} of ${node} is free yet`);
    }
    given.push(...free.slice(0, count));
  }
  return given;
}

/** Devices that tasks have until their end is reported, those that are being stopped included. */
function heldDevices(
  view: ClusterView,
  node: string,
  others: readonly Task[],
): ReadonlySet<string> {
  const tasks = view.tasks.by("node", node).flatMap(({ value }) => {
    const state = statusOf(view, value.id)?.state;
    return state !== undefined && isFinal(state) ? [] : [value];
  });
  const elsewhere = others.filter((task) => task.node === node);
  return new Set([...tasks, ...elsewhere].flatMap(({ devices = [] }) => devices.map(nameOf)));
}

function nameOf({ kind, id }: NodeDevice): string {
  return `${kind} ${id}`;
}
