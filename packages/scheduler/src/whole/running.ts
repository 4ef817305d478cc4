/** A cluster with tasks that run, in the engine of typed arrays: what questions about a running state begin with. */

import { type DenseOptions, NONE } from "../dense/cluster.ts";
import { Engine } from "../dense/engine.ts";
import type { Shape } from "../dense/shape.ts";
import type { Ask, DeviceAssignment, NodeModel } from "../model.ts";

/** A task that runs. */
export interface RunningAsk {
  readonly ask: Ask;
  readonly node: string;
  /** What it holds; chosen anew when absent. */
  readonly devices?: readonly DeviceAssignment[];
}

/** A task by number, with what is needed to put it elsewhere. */
export interface RunningItem {
  readonly ask: Ask;
  readonly shape: Shape;
  readonly service: number;
  task: number;
}

export interface RunningState {
  readonly engine: Engine;
  readonly items: readonly RunningItem[];
  /** Items by node. */
  readonly on: readonly RunningItem[][];
}

/** A task runs on a node that is not in the list. */
export class UnknownNodeError extends Error {
  override readonly name = "UnknownNodeError";
}

/** O(nodes + tasks). Asks no rule: what runs, runs. */
export function runningState(
  nodes: readonly NodeModel[],
  running: readonly RunningAsk[],
  options: DenseOptions,
): RunningState {
  const engine = new Engine(nodes, options);
  const on: RunningItem[][] = Array.from({ length: nodes.length }, () => []);
  const items = running.map(({ ask, node: id, devices }) => {
    const node = engine.cluster.nodeOfId(id);
    if (node === NONE) throw new UnknownNodeError(`${ask.id} runs on ${id}, which is no node`);
    const shape = engine.cluster.shape(ask);
    const service = engine.cluster.services.idOf(ask.service);
    engine.declare(shape, service);
    const task = engine.put(shape, service, node, devices);
    const item = { ask, shape, service, task };
    on[node]?.push(item);
    return item;
  });
  return { engine, items, on };
}
