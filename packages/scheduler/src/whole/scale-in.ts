/**
 * Scale-in: hosts that could go together, with everything that runs on them placed elsewhere.
 *
 * Hosts with the fewest to move are tried first; each that can be emptied stays away while the next are tried,
 * so the list holds as a whole and in its order. Cost: that of placing each task that moves, and of those that
 * found no place.
 */

import { NONE } from "../dense/cluster.ts";
import type { NodeModel, Strategy } from "../model.ts";
import { Fitting } from "./fitting.ts";
import { type RunningAsk, type RunningItem, type RunningState, runningState } from "./running.ts";

export interface ScaleInInput {
  readonly nodes: readonly NodeModel[];
  readonly running: readonly RunningAsk[];
  readonly seed: number;
  /** Where what must go elsewhere goes. */
  readonly strategy: Strategy;
}

/** Ids of the hosts in the order in which they can be emptied, with the tasks that each moves. */
export function scaleInCandidates(
  input: ScaleInInput,
): readonly { readonly node: string; readonly tasks: number }[] {
  const state = runningState(input.nodes, input.running, input);
  const { cluster } = state.engine;
  const fitting = new Fitting(
    cluster,
    input.running.map(({ ask }) => ask),
  );
  const order = [...cluster.nodes.keys()]
    .map((node) => ({ node, load: fitting.load(node), tasks: cluster.tasksOn[node] ?? 0 }))
    .sort((a, b) => a.tasks - b.tasks || a.load - b.load || a.node - b.node);
  return order.flatMap(({ node }) => {
    const moved = empty(state, node, fitting);
    const id = cluster.nodes[node]?.model.id ?? "";
    return moved === undefined ? [] : [{ node: id, tasks: moved }];
  });
}

/** Moves everything away from the node, or changes nothing and returns `undefined`. */
function empty({ engine, on }: RunningState, node: number, fitting: Fitting): number | undefined {
  const { cluster } = engine;
  const items = on[node] ?? [];
  const wasUsable = cluster.usable[node] === 1;
  if (wasUsable) engine.turnAt(node, false);
  const order = [...items].sort((a, b) => fitting.sizeOf(b.shape) - fitting.sizeOf(a.shape));
  const moved: { item: RunningItem; devices: ReturnType<typeof cluster.devicesOfTask> }[] = [];
  for (const item of order) {
    const devices = cluster.devicesOfTask(item.task);
    cluster.remove(item.task);
    item.task = engine.placeOne(item.shape, item.service);
    moved.push({ item, devices });
    if (item.task !== NONE) continue;
    for (const { item: back } of moved) if (back.task !== NONE) cluster.remove(back.task);
    if (wasUsable) engine.turnAt(node, true);
    for (const { item: back, devices: held } of moved) {
      back.task = engine.put(back.shape, back.service, node, held);
    }
    return undefined;
  }
  for (const { item } of moved) on[cluster.nodeOf(item.task)]?.push(item);
  items.length = 0;
  return moved.length;
}
