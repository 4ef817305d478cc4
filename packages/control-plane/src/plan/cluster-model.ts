/**
 * The cluster as the scheduler sees it: nodes with what they have, tasks that may be alive with what they
 * hold. Cost: O(nodes + tasks); the model of a task is made once for each version of it.
 */

import { isDeepStrictEqual } from "node:util";
import {
  isFinal,
  keys,
  type NodeDevice,
  type NodeStatus,
  type ServiceSpec,
  serviceKey,
  type Task,
  type TaskDevice,
  type TaskVolume,
} from "@berth/protocol";
import {
  type ClusterModel,
  type DeviceAssignment,
  type HostPort,
  type MeasuredUse,
  type RunningTask,
  type VolumeUse,
  WHOLE_MILLIS,
} from "@berth/scheduler";
import { specOfTask } from "../release/spec-of-task.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { countablesOf, type DeviceKinds, deviceKinds } from "./countables.ts";
import { nodeModel } from "./node-model.ts";
import { measuredUse } from "./placing-wishes.ts";

/** Nodes and live tasks of the view, with tasks that are on their way into the store. */
export function clusterModel(view: ClusterView, inFlight: readonly Task[]): ClusterModel {
  const kinds = deviceKinds(view);
  const nodes = view.nodes
    .all()
    .map(({ value }) =>
      nodeModel(value, view.nodeStatuses.get(keys.nodeStatus(value.name))?.value, kinds),
    );
  const tasks: RunningTask[] = [];
  const seen = new Set<string>();
  for (const { value: task } of view.tasks.all()) {
    seen.add(task.id);
    const status = statusOf(view, task.id);
    if (status !== undefined && isFinal(status.state)) continue;
    tasks.push(taskModel(view, task, kinds));
  }
  for (const task of inFlight) {
    if (!seen.has(task.id)) tasks.push(taskModel(view, task, kinds));
  }
  return { nodes, tasks };
}

interface KnownModel {
  readonly model: RunningTask;
  /** What else it was made of. */
  readonly kinds: DeviceKinds;
  readonly devices: NodeStatus["devices"];
}

/** Models by task object: a changed task is another object. */
const models = new WeakMap<Task, KnownModel>();

/** A task that holds its place; the same object while nothing of what it is made of changes. */
export function taskModel(view: ClusterView, task: Task, kinds: DeviceKinds): RunningTask {
  const known = models.get(task);
  const { devices } = view.nodeStatuses.get(keys.nodeStatus(task.node))?.value ?? {};
  const measured = measuredUse(view, task);
  const isSame =
    known !== undefined &&
    sameUse(known.model.measured, measured) &&
    (task.devices === undefined || isDeepStrictEqual(known.devices, devices)) &&
    sameKinds(known.kinds, kinds);
  if (isSame) return known.model;
  const model = makeModel(view, task, { kinds, devices: devices ?? [], measured });
  models.set(task, { model, kinds, devices });
  return model;
}

function sameUse(a: MeasuredUse | undefined, b: MeasuredUse | undefined): boolean {
  return a?.cpuMillis === b?.cpuMillis && a?.memoryBytes === b?.memoryBytes;
}

/** Are the kinds the same? */
export function sameKinds(a: DeviceKinds, b: DeviceKinds): boolean {
  return a === b || (a.size === b.size && [...a].every((kind) => b.has(kind)));
}

interface TaskFacts {
  readonly kinds: DeviceKinds;
  readonly devices: readonly NodeDevice[];
  readonly measured: MeasuredUse | undefined;
}

function makeModel(
  view: ClusterView,
  task: Task,
  { kinds, devices, measured }: TaskFacts,
): RunningTask {
  const spec = specOfTask(view, task)?.service.spec;
  const ports = spec === undefined ? [] : hostPorts(spec.networkMode, spec.ports);
  const held = heldDevices(task.devices ?? [], devices);
  return {
    id: task.id,
    service: serviceKey(task),
    slot: task.slot,
    node: task.node,
    requests: { ...task.requests, ...(spec === undefined ? {} : countablesOf(spec, kinds)) },
    volumes: task.volumes.map((volume) => runningVolume(volume, task.node)),
    ...(ports.length === 0 ? {} : { ports }),
    ...(held.length === 0 ? {} : { devices: held }),
    ...(measured === undefined ? {} : { measured, limits: limitsOf(spec) }),
    leaving: task.desired === "stopped" || task.verdict !== undefined,
  };
}

function limitsOf(spec: ServiceSpec | undefined): NonNullable<RunningTask["limits"]> {
  const { cpuMillis, memoryBytes } = spec?.limits ?? {};
  return {
    ...(cpuMillis === undefined ? {} : { cpuMillis }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/** Positions among the node's devices of the kind; one that the node has no more is left out. */
function heldDevices(
  given: readonly TaskDevice[],
  there: readonly NodeDevice[],
): DeviceAssignment[] {
  return given.flatMap(({ kind, id, shareMillis = WHOLE_MILLIS }) => {
    const index = there.filter((each) => each.kind === kind).findIndex((each) => each.id === id);
    return index < 0 ? [] : [{ kind, indexes: [index], shareMillis }];
  });
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
