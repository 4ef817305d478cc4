/**
 * The cluster as the scheduler sees it: nodes with what they have, tasks that may be alive with what they
 * hold. Cost: O(nodes + tasks); the model of a task is made once for each version of it.
 */

import { isFinal, keys, serviceKey, type Task, type TaskVolume } from "@berth/protocol";
import type { ClusterModel, HostPort, RunningTask, VolumeUse } from "@berth/scheduler";
import { specOfTask } from "../release/spec-of-task.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { countablesOf } from "./countables.ts";
import { nodeModel } from "./node-model.ts";

/** Nodes and live tasks of the view, with tasks that are on their way into the store. */
export function clusterModel(view: ClusterView, inFlight: readonly Task[]): ClusterModel {
  const nodes = view.nodes
    .all()
    .map(({ value }) =>
      nodeModel(value, view.nodeStatuses.get(keys.nodeStatus(value.name))?.value),
    );
  const tasks: RunningTask[] = [];
  const seen = new Set<string>();
  for (const { value: task } of view.tasks.all()) {
    seen.add(task.id);
    const status = statusOf(view, task.id);
    if (status !== undefined && isFinal(status.state)) continue;
    tasks.push(taskModel(view, task));
  }
  for (const task of inFlight) {
    if (!seen.has(task.id)) tasks.push(taskModel(view, task));
  }
  return { nodes, tasks };
}

/** Models by task object: a changed task is another object. */
const models = new WeakMap<Task, RunningTask>();

/** A task that holds its place; the same object for the same version of the task. */
export function taskModel(view: ClusterView, task: Task): RunningTask {
  const known = models.get(task);
  if (known !== undefined) return known;
  const spec = specOfTask(view, task)?.service.spec;
  const ports = spec === undefined ? [] : hostPorts(spec.networkMode, spec.ports);
  const made: RunningTask = {
    id: task.id,
    service: serviceKey(task),
    slot: task.slot,
    node: task.node,
    requests: { ...task.requests, ...(spec === undefined ? {} : countablesOf(spec)) },
    volumes: task.volumes.map((volume) => runningVolume(volume, task.node)),
    ...(ports.length === 0 ? {} : { ports }),
    leaving: task.desired === "stopped" || task.verdict !== undefined,
  };
  models.set(task, made);
  return made;
}

/** Exclusiveness is the claims' business: the scheduler is only told where the data lies. */
function runningVolume(volume: TaskVolume, node: string): VolumeUse {
  return { key: volume.engineName, node, mode: "shared" };
}

/** Ports that a service takes on its node itself: only on the host's network. */
export function hostPorts(
  networkMode: string,
  ports: readonly { readonly target: number; readonly protocol: "tcp" | "udp" }[],
): HostPort[] {
  if (networkMode !== "host") return [];
  return ports.map(({ target, protocol }) => ({ protocol, port: target }));
}
