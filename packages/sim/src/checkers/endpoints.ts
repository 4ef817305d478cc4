/**
 * Endpoints contain only ready tasks, and all of them in the end. What a node's data plane is told to send requests
 * to is a process that runs and has been healthy; in the end every node that carries a network has exactly the
 * ready tasks on it.
 *
 * Copies of this node are compared with the processes on its host, those of others with what was ever reported:
 * a node that is cut off knows of them what it last heard. Speaks when a model is told, and at the end.
 */

import { LABEL_TASK } from "@berth/agent/runtime/port";
import type { EndpointModel, NodeNetworkModel } from "@berth/network";
import type { Task, TaskStatus } from "@berth/protocol";
import type { Machine } from "../machine.ts";
import type { Checker, Scene } from "./checker.ts";

/** An agent hears of an end within this, also from an engine that was away and is listed again. */
const UNHEARD_MS = 30_000;

export function endpointsChecker(): Checker {
  /** Tasks that were ever reported ready. */
  const everReady = new Set<string>();
  /** When a machine's engine was last seen to be away. Monotonic milliseconds. */
  const engineAwayAt = new Map<string, number>();
  return {
    name: "endpoints",
    onWritten(written) {
      for (const each of written) {
        const status = each.kind === "status" ? each.now<TaskStatus>() : undefined;
        if (status?.ready === true) everReady.add(status.task);
      }
    },
    onTick({ cluster, nowMs }) {
      for (const { name, host } of cluster.machines) {
        if (!host.engineUp) engineAwayAt.set(name, nowMs);
      }
    },
    onModel({ machine, model }, scene, speak) {
      const { nowMs } = scene;
      const { name, host } = machine;
      if (!host.engineUp) engineAwayAt.set(name, nowMs);
      const wasAway = nowMs - (engineAwayAt.get(name) ?? Number.NEGATIVE_INFINITY) < UNHEARD_MS;
      for (const endpoint of model.endpoints) {
        if (endpoint.state !== "ready") continue;
        const { taskId, remote } = endpoint;
        if (remote === true) {
          if (!everReady.has(taskId)) speak(`${name} sends to ${taskId}, which was never ready`);
        } else if (!wasAway && !isServing(machine, taskId, scene)) {
          speak(`${name} sends to its own ${taskId}, of which no process is healthy`);
        }
      }
    },
    pending: incompleteEndpoints,
  };
}

/** A process of the task has been healthy, and did not end long ago. Without a probe it need only run. */
function isServing({ host }: Machine, id: string, { cluster: { facts }, nowMs }: Scene): boolean {
  const task = facts.taskOf(id);
  // Told late, or forgotten: nobody can say what it has to be.
  if (task === undefined) return true;
  const isProbed = facts.releaseOf(task)?.services[task.service]?.spec.probes.ready !== undefined;
  return [...host.containers.values()].some((container) => {
    if (container.request.labels[LABEL_TASK] !== id) return false;
    const until = isProbed ? container.healthyUntilMs() : container.ranUntilMs();
    return nowMs - until < UNHEARD_MS;
  });
}

/** A node whose endpoints are not what they have to be at last. */
function incompleteEndpoints({ cluster }: Scene): string | undefined {
  const { facts } = cluster;
  const ready = [...facts.task.values()].filter(
    (task) =>
      task.desired === "running" &&
      task.verdict === undefined &&
      facts.statusOf(task.id)?.ready === true,
  );
  for (const { name, net } of cluster.machines) {
    const model = net.told.at(-1)?.model;
    if (model === undefined) continue;
    const wanted = wantedEndpoints(ready, model);
    const own = new Set(facts.task.values().flatMap(({ id, podTask }) => (podTask ? [id] : [])));
    const told = model.endpoints.filter(
      ({ state, taskId }) => state === "ready" && !own.has(taskId),
    );
    const known = new Set(told.map(nameOf));
    const missing = [...wanted].find((each) => !known.has(each));
    if (missing !== undefined) return `${name} does not send to the ready ${missing}`;
    const left = [...known].find((each) => !wanted.has(each));
    if (left !== undefined) return `${name} still sends to ${left}`;
  }
  return undefined;
}

/** Members of a pod answer at the address of its main, and are told at their own node only. */
function wantedEndpoints(ready: readonly Task[], model: NodeNetworkModel): ReadonlySet<string> {
  const carried = new Set(model.networks.map(({ id }) => id));
  return new Set(
    ready.flatMap(({ id: taskId, podTask, attachments }) =>
      podTask !== undefined
        ? []
        : attachments
            .filter(({ networkId }) => carried.has(networkId))
            .map(({ networkId, address }) => nameOf({ taskId, networkId, address })),
    ),
  );
}

function nameOf(endpoint: Pick<EndpointModel, "taskId" | "networkId" | "address">): string {
  const { taskId, networkId, address } = endpoint;
  return `${taskId} at ${address} of ${networkId}`;
}
