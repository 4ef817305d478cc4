/**
 * Nobody is sent to a process that was asked to end: at the moment of the signal the node's ingress does not
 * hold the copy as ready, unless the time to wait for its word was over.
 *
 * Looks at what the simulated ingress followed at that moment, not at what it was told or said. Speaks when
 * the process has ended.
 */

import { LABEL_TASK } from "@berth/agent/runtime/port";
import { ACKNOWLEDGE_MS_MAX } from "@berth/agent/task/stop-rules";
import type { NodeNetworkModel } from "@berth/network";
import type { ToldModel } from "../simulated-net.ts";
import type { StoreFacts } from "../store-facts.ts";
import type { Checker } from "./checker.ts";

/** Between the agent's decision to wait and its word to the data plane, the agent killed between them included. */
const TELLING_MS = 5_000;

export function leavingChecker(): Checker {
  return {
    name: "leaving",
    onContainer({ machine, container, kind }, { cluster }, speak) {
      const { stopAskedMs: stopAskedAt } = container;
      const task = container.request.labels[LABEL_TASK] ?? "";
      if (kind !== "exited" || stopAskedAt === undefined) return;
      // Its deadline on a node without contact is not to be waited past for anybody's word.
      if (isFenced(cluster.facts, task)) return;
      const net = cluster.machines.find(({ name }) => name === machine)?.net;
      const followed = net?.followedAt(stopAskedAt);
      if (net === undefined || followed === undefined || !isReady(followed.model, task)) return;
      // Told of the attempt before: a hanging ingress sends to this one without its ever having been ready.
      if (followed.toldAt < container.startedMs) return;
      const since = takenOutAt(net.told, task, stopAskedAt);
      if (since !== undefined && stopAskedAt - since > ACKNOWLEDGE_MS_MAX - TELLING_MS) return;
      const told = since === undefined ? "was never taken out" : "is to be taken out";
      speak(`${task} on ${machine} was asked to end while requests went to it: it ${told}`);
    },
  };
}

function isFenced(facts: StoreFacts, id: string): boolean {
  const task = facts.taskOf(id);
  const spec = task && facts.releaseOf(task)?.services[task.service]?.spec;
  return spec?.failover === "fence";
}

/** Since when without a break the ingress had been told that the task gets no requests. */
function takenOutAt(told: readonly ToldModel[], task: string, at: number): number | undefined {
  let since: number | undefined;
  for (const { model, toldAt } of told.toReversed()) {
    if (toldAt > at) continue;
    if (isReady(model, task)) break;
    since = toldAt;
  }
  return since;
}

function isReady(model: NodeNetworkModel | undefined, task: string): boolean {
  return model?.endpoints.some((each) => each.taskId === task && each.state === "ready") === true;
}
