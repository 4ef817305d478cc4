/**
 * A node and what is left of it.
 *
 * Amounts stand in arrays, one column a resource (`resource-columns.ts`), because they are read for every node
 * that is looked at.
 */

import { type DeviceState, devicesOf } from "./devices.ts";
import type { Held } from "./held.ts";
import type { NodeModel } from "./model.ts";
import type { ResourceColumns } from "./resource-columns.ts";
import { allocatable } from "./resources.ts";

export interface NodeState {
  readonly model: NodeModel;
  /** Place among nodes that score alike, from 0; by rank (`rank.ts`), then id. `NO_PLACE` outside a cluster. */
  readonly place: number;
  ready: boolean;
  draining: boolean;
  /** By column; a column that is missing is 0, here and in `free`. */
  readonly total: readonly number[];
  /** May be negative where tasks were placed before the node shrank. */
  readonly free: number[];
  /** By column: what tasks requested and do not keep, for asks that may count on it. Negative: they use more. */
  readonly spared: number[];
  readonly devices: readonly DeviceState[];
  /** The order carries no meaning. */
  readonly held: Held[];
}

/** Place of a node that is only thought of. */
export const NO_PLACE = -1;

/** A node with nothing on it. */
export function nodeState(model: NodeModel, place: number, columns: ResourceColumns): NodeState {
  const total: number[] = [];
  for (const [name, amount] of allocatable(model)) setAt(total, columns.of(name), amount);
  return {
    model,
    place,
    ready: model.ready,
    draining: model.draining,
    total,
    free: [...total],
    spared: [],
    devices: devicesOf(model),
    held: [],
  };
}

/** Books a task on a node (`sign` 1) or off it (-1). */
export function book(node: NodeState, task: Held, sign: 1 | -1, columns: ResourceColumns): void {
  if (sign === 1) task.onNode = node.held.push(task) - 1;
  else unlist(node.held, task);
  for (const { name, amount } of task.needs.resources) {
    const column = columns.of(name);
    // A resource that the node does not have (any more) is never free there.
    setAt(node.free, column, (node.free[column] ?? 0) - sign * amount);
  }
  if (task.spared !== undefined) {
    for (const { name, amount } of task.spared) {
      const column = columns.of(name);
      setAt(node.spared, column, (node.spared[column] ?? 0) + sign * amount);
    }
  }
  if (task.devices.length > 0) bookDevices(node, task, sign);
}

function unlist(held: Held[], task: Held): void {
  const last = held.pop();
  if (last === undefined || last === task) return;
  held[task.onNode] = last;
  last.onNode = task.onNode;
}

function bookDevices(node: NodeState, task: Held, sign: 1 | -1): void {
  for (const { kind, indexes, shareMillis } of task.devices) {
    for (const device of node.devices) {
      if (device.kind === kind && indexes.includes(device.index)) {
        device.freeMillis -= sign * shareMillis;
      }
    }
  }
}

/** Copies of the service that stay on the node, counted one by one. */
export function countCopies({ held }: NodeState, service: string): number {
  let count = 0;
  for (const { claims, leaving } of held) if (!leaving && claims.service === service) count++;
  return count;
}

/** Without a hole: arrays with holes are slow. */
function setAt(amounts: number[], column: number, amount: number): void {
  while (amounts.length < column) amounts.push(0);
  amounts[column] = amount;
}
