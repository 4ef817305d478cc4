/**
 * Which devices of its node a task gets: those that the scheduler chose, by their place among the node's devices of
 * the kind, written into the task with the plan.
 *
 * Where a person states how many of a kind a node has, nobody says which device a count stands for, and none is
 * written. A device that another task holds meanwhile is an obstacle: the plan is made anew. Cost: O(tasks of the node).
 */

import { isFinal, keys, type NodeDevice, type Task, type TaskDevice } from "@berth/protocol";
import { type DeviceAssignment, WHOLE_MILLIS } from "@berth/scheduler";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { type Obstacle, obstacle, type PlanContext } from "./plan-context.ts";

/** In the order of the choice; empty where the service asks for none. */
export function planDevices(
  context: PlanContext,
  chosen: readonly DeviceAssignment[],
  node: string,
): readonly TaskDevice[] | Obstacle {
  if (chosen.length === 0) return [];
  const { view } = context.input;
  const there = view.nodeStatuses.get(keys.nodeStatus(node))?.value.devices ?? [];
  const stated = view.nodes.get(keys.node(node))?.value.countables ?? {};
  const held = heldMillis(view, node, [...context.input.inFlight.tasks(), ...context.planned]);
  const given: TaskDevice[] = [];
  for (const { kind, indexes, shareMillis } of chosen) {
    if (Object.hasOwn(stated, kind)) continue;
    const ofKind = there.filter((each) => each.kind === kind);
    for (const index of indexes) {
      const device = ofKind[index];
      const used = device === undefined ? WHOLE_MILLIS : (held.get(nameOf(device)) ?? 0);
      if (device === undefined || used + shareMillis > WHOLE_MILLIS) {
        return obstacle("device", `${kind} ${index} of ${node} is not free yet`);
      }
      held.set(nameOf(device), used + shareMillis);
      given.push(shareMillis === WHOLE_MILLIS ? device : { ...device, shareMillis });
    }
  }
  return given;
}

/** Thousandths that tasks have until their end is reported, those that are being stopped included. */
function heldMillis(view: ClusterView, node: string, others: readonly Task[]): Map<string, number> {
  const tasks = view.tasks.by("node", node).flatMap(({ value }) => {
    const state = statusOf(view, value.id)?.state;
    return state !== undefined && isFinal(state) ? [] : [value];
  });
  const known = new Set(tasks.map(({ id }) => id));
  const elsewhere = others.filter((task) => task.node === node && !known.has(task.id));
  const held = new Map<string, number>();
  for (const { devices = [] } of [...tasks, ...elsewhere]) {
    for (const device of devices) {
      const { shareMillis = WHOLE_MILLIS } = device;
      held.set(nameOf(device), (held.get(nameOf(device)) ?? 0) + shareMillis);
    }
  }
  return held;
}

function nameOf({ kind, id }: NodeDevice): string {
  return `${kind} ${id}`;
}
