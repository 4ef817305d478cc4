/**
 * Where the free copies of a node would go if it took no more and had to be emptied now: tried on a copy of the
 * cluster, by the scheduler that would decide in earnest, all of them together.
 *
 * In earnest they move one after the other and others may come between, so the answer is a forecast; that there is
 * room for all of them at once is the part that matters. Cost: O(nodes + tasks), and a decision for each copy.
 */

import type { CopyStanding, Task } from "@berth/protocol";
import {
  type Ask,
  explainPlacement,
  explainRefusal,
  type SchedulePlan,
  Transaction,
} from "@berth/scheduler";
import { clusterModel } from "../plan/cluster-model.ts";
import { askOfTask, podHolders } from "../plan/running-ask.ts";
import { strategyOf } from "../plan/strategy.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";

/** By task. `tasks` run on `node` and may run elsewhere. */
export function placesElsewhere(
  view: ClusterView,
  node: string,
  tasks: readonly Task[],
  settings: Pick<ControlPlaneSettings, "defaultRequests">,
): ReadonlyMap<string, NonNullable<CopyStanding["elsewhere"]>> {
  const transaction = new Transaction(clusterModel(view, []), {
    seed: 1,
    strategy: "balanced",
    defaults: settings.defaultRequests,
  });
  transaction.turn(node, { draining: true });
  const context = { view, settings, podHolders: podHolders(tasks) };
  const places = new Map<string, NonNullable<CopyStanding["elsewhere"]>>();
  const asks: Ask[] = [];
  for (const task of tasks) {
    transaction.release(task.id);
    const strategy = strategyOf(view, task.project);
    const { ask: stated, onEveryNode } = askOfTask(task, task.id, context);
    const ask = { strategy, ...stated };
    if (onEveryNode) places.set(task.id, { why: ONE_ON_EACH });
    else if (task.desired === "stopped") places.set(task.id, { why: STOPS_ANYWAY });
    else asks.push(ask);
  }
  for (const [task, place] of found(transaction.schedule(asks))) places.set(task, place);
  return places;
}

const ONE_ON_EACH = "is not replaced: its service has one copy on each node";
const STOPS_ANYWAY = "is being stopped anyway";

function found(plan: SchedulePlan): (readonly [string, { node?: string; why: string }])[] {
  return [
    ...plan.placements.map((placement) => {
      const { ask, node } = placement;
      return [ask, { node, why: explainPlacement(placement) }] as const;
    }),
    ...plan.refusals.map((refusal) => [refusal.ask, { why: explainRefusal(refusal) }] as const),
  ];
}
