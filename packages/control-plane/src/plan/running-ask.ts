/**
 * A running task as an ask again: what would be wanted of a node if it had to be started elsewhere.
 *
 * The task's own spec says it; where no release has it any more, only what it holds is known.
 */

import { runsOnEveryNode, serviceKey, type Task } from "@berth/protocol";
import type { Ask } from "@berth/scheduler";
import { specOfTask } from "../release/spec-of-task.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { askOf } from "./asks.ts";

export interface RunningAskContext {
  readonly view: ClusterView;
  readonly settings: Pick<ControlPlaneSettings, "defaultRequests">;
  /** Tasks that others have joined: the holders of pods. */
  readonly podHolders: ReadonlySet<string>;
}

export interface RunningAsk {
  readonly ask: Ask;
  /** Its service has one on each node: it goes with its node, and nothing replaces it elsewhere. */
  readonly onEveryNode: boolean;
}

/** Tasks that others have joined. O(tasks). */
export function podHolders(tasks: Iterable<Task>): ReadonlySet<string> {
  const holders = new Set<string>();
  for (const { podTask } of tasks) if (podTask !== undefined) holders.add(podTask);
  return holders;
}

/** The ask of a task, under `id`. O(size of its spec). */
export function askOfTask(task: Task, id: string, context: RunningAskContext): RunningAsk {
  const { view, settings } = context;
  const found = specOfTask(view, task);
  const podKey = task.podTask ?? (context.podHolders.has(task.id) ? task.id : undefined);
  if (found === undefined) {
    const { slot, requests } = task;
    const pod = podKey === undefined ? {} : { pod: podKey };
    return { ask: { id, service: serviceKey(task), slot, requests, ...pod }, onEveryNode: false };
  }
  const { release, service: target } = found;
  const ask = askOf(
    { id, scope: task, slot: task.slot, target },
    { previousNode: undefined, failedNodes: [], node: undefined, podKey },
    { view, release, settings },
  );
  return { ask, onEveryNode: runsOnEveryNode(target.spec) };
}
