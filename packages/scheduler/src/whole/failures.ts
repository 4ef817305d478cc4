/**
 * "Does everything still fit if these nodes go?" For every node alone, or for every domain of a level.
 *
 * The tasks of what goes are placed elsewhere, the largest first, as they would be in earnest, and everything is
 * put back before the next question. That a task finds no place this way does not prove that there is no
 * arrangement at all in which it would: the answer "does not fit" is careful, "fits" is certain.
 * Cost: that of placing each task once more, for each level that is asked about.
 */

import { NONE } from "../dense/cluster.ts";
import type { NodeModel, Strategy } from "../model.ts";
import { Fitting } from "./fitting.ts";
import { type RunningAsk, type RunningItem, type RunningState, runningState } from "./running.ts";

export interface FailureInput {
  readonly nodes: readonly NodeModel[];
  readonly running: readonly RunningAsk[];
  /** `node`, a topology level, or an attribute. */
  readonly level: string;
  readonly seed: number;
  /** Where what must go elsewhere goes. */
  readonly strategy: Strategy;
}

/** What happens when all nodes of a domain go. */
export interface FailureAnswer {
  /** The node's id at the level of nodes, else the domain. */
  readonly domain: string;
  readonly nodes: number;
  readonly tasks: number;
  /** Asks that find no place elsewhere; empty when everything fits. */
  readonly unplaced: readonly string[];
}

/** In the order of the domains' names. */
export function analyseFailures(input: FailureInput): readonly FailureAnswer[] {
  const state = runningState(input.nodes, input.running, input);
  const { cluster } = state.engine;
  const fitting = new Fitting(
    cluster,
    input.running.map(({ ask }) => ask),
  );
  const { domainOf } = cluster.levels.at(cluster.levels.idOf(input.level));
  const members = Map.groupBy(domainOf.keys(), (node) => domainOf[node] ?? NONE);
  members.delete(NONE);
  const answers = [...members.values()].map((nodes) => {
    const name = cluster.levels.nameOfDomain(input.level, nodes[0] ?? 0);
    return { domain: name, nodes: nodes.length, ...withoutNodes(state, nodes, fitting) };
  });
  return answers.sort((a, b) => (a.domain < b.domain ? -1 : 1));
}

function withoutNodes(state: RunningState, nodes: readonly number[], fitting: Fitting) {
  const { engine, on } = state;
  const lost = nodes.flatMap((node) => [...(on[node] ?? [])]);
  const homes = lost.map(({ task }) => engine.cluster.nodeOf(task));
  const devices = lost.map(({ task }) => engine.cluster.devicesOfTask(task));
  for (const item of lost) engine.cluster.remove(item.task);
  const usable = nodes.filter((node) => engine.cluster.usable[node] === 1);
  for (const node of usable) engine.turnAt(node, false);
  const order = [...lost].sort(
    (a, b) => fitting.sizeOf(b.shape) - fitting.sizeOf(a.shape) || (a.ask.id < b.ask.id ? -1 : 1),
  );
  const unplaced = order.filter((item) => !place(state, item)).map(({ ask }) => ask.id);
  for (const { task } of lost) if (task !== NONE) engine.cluster.remove(task);
  for (const node of usable) engine.turnAt(node, true);
  for (const [at, item] of lost.entries()) {
    item.task = engine.put(item.shape, item.service, homes[at] ?? 0, devices[at]);
  }
  return { tasks: lost.length, unplaced: unplaced.sort() };
}

function place({ engine }: RunningState, item: RunningItem): boolean {
  item.task = engine.placeOne(item.shape, item.service);
  return item.task !== NONE;
}
