/**
 * From an assignment to the container that the runtime is asked for. Pure.
 *
 * The name is a function of (cluster, task, attempt): repeating a creation after a crash finds the
 * container that the first one made. Labels are the only memory that survives the loss of the database.
 */

import type { Assignment, EngineOptions, Task } from "@berth/protocol";
import { taskName } from "@berth/protocol";
import {
  type ContainerMount,
  type ContainerNetwork,
  type ContainerRequest,
  LABEL_ATTEMPT,
  LABEL_CLUSTER,
  LABEL_SERVICE,
  LABEL_TASK,
} from "../runtime/port.ts";
import { exclusiveVolumes, LABEL_EXCLUSIVE } from "../state/volume-locks.ts";

/** Enough of the cluster's identifier to tell two clusters on one engine apart in a listing. */
const CLUSTER_CHARS = 8;

export function containerName(cluster: string, task: string, attempt: number): string {
  return `berth-${cluster.slice(0, CLUSTER_CHARS)}-${task}-${attempt}`;
}

export interface RequestInput {
  readonly cluster: string;
  readonly assignment: Assignment;
  readonly attempt: number;
  readonly imageId: string;
  /** Of files that the agent made: configs, secrets, objects, resolv.conf. */
  readonly fileMounts: readonly ContainerMount[];
  /** The container that it shares with, for members of a pod. */
  readonly podContainerId?: string;
}

export function containerRequest(input: RequestInput): ContainerRequest {
  const { cluster, assignment, attempt, podContainerId } = input;
  const { task, spec } = assignment;
  const shares = podContainerId === undefined ? [] : (spec.podShares ?? ["network"]);
  const pod = (share: (typeof shares)[number]) => shares.includes(share) && podContainerId;
  const [volumes, pid, ipc] = [pod("volumes"), pod("pid"), pod("ipc")];
  return {
    name: containerName(cluster, task.id, attempt),
    labels: labelsOf(cluster, task, attempt),
    imageId: input.imageId,
    ...(spec.entrypoint === undefined ? {} : { entrypoint: spec.entrypoint }),
    ...(spec.command === undefined ? {} : { command: spec.command }),
    environment: spec.environment,
    engine: withDevices(engineOf(assignment, shares.includes("network")), task.devices ?? []),
    limits: spec.limits,
    mounts: [...mountsOf(assignment), ...input.fileMounts],
    network: networkOf(assignment, shares.includes("network") ? podContainerId : undefined),
    ...(volumes ? { shareVolumesOf: volumes } : {}),
    ...(pid ? { sharePidOf: pid } : {}),
    ...(ipc ? { shareIpcOf: ipc } : {}),
    stopGraceMs: spec.stopGraceMs,
    repeatable: !task.exclusive && spec.mode !== "job" && spec.restart.policy !== "no",
  };
}

function labelsOf(cluster: string, task: Task, attempt: number): Record<string, string> {
  const exclusive = exclusiveVolumes(task);
  return {
    [LABEL_CLUSTER]: cluster,
    [LABEL_TASK]: task.id,
    [LABEL_SERVICE]: `${task.project}/${task.environment}/${task.stack}/${task.service}`,
    [LABEL_ATTEMPT]: String(attempt),
    ...(exclusive.length === 0 ? {} : { [LABEL_EXCLUSIVE]: exclusive.join(",") }),
  };
}

/**
 * The devices that the task was placed on, by their files or by the engine's driver. They stand in place of the file's
 * general wishes for devices of these kinds, so that the engine gives these and no others.
 */
function withDevices(
  engine: EngineOptions,
  devices: NonNullable<Task["devices"]>,
): ContainerRequest["engine"] {
  if (devices.length === 0) return engine;
  const kinds = new Set(devices.map(({ kind }) => kind));
  const wishes = engine.deviceRequests ?? [];
  const kept = wishes.filter(({ capabilities }) => !capabilities.some((word) => kinds.has(word)));
  const replaced = wishes.find((wish) => !kept.includes(wish));
  const driven = Map.groupBy(
    devices.filter(({ driver }) => driver !== undefined),
    ({ driver }) => driver ?? "",
  );
  const given = [...driven].map(([driver, some]) => ({
    ...{ driver, ids: some.map(({ id }) => id) },
    capabilities: replaced?.capabilities ?? [...new Set(some.map(({ kind }) => kind))],
    options: replaced?.options ?? {},
  }));
  const files = [...new Set(devices.flatMap(({ paths }) => paths))].map((path) => ({
    ...{ source: path, target: path, permissions: "rw" },
  }));
  return {
    ...engine,
    devices: [...(engine.devices ?? []), ...files],
    deviceRequests: [...kept, ...given],
  };
}

/**
 * Who may count on what others leave unused yields to them: the kernel gives it processor time by its request where all
 * of it is wanted, and ends it sooner where memory runs out. What the file says goes before.
 */
const YIELDING = {
  burstable: { oomScoreAdjust: 500 },
  "best-effort": { oomScoreAdjust: 900 },
} as const;
/** Shares of one processor, as the kernel counts them, and the fewest that it takes. */
const SHARES = { perCpu: 1_024, min: 2 } as const;

function engineOf(assignment: Assignment, joins: boolean): ContainerRequest["engine"] {
  const engine = withHostname(assignment, joins);
  const { class: serviceClass = "guaranteed" } = assignment.spec;
  if (serviceClass === "guaranteed") return engine;
  const { cpuMillis } = assignment.task.requests;
  const cpuShares = Math.max(SHARES.min, Math.round((cpuMillis * SHARES.perCpu) / 1_000));
  return { cpuShares, ...YIELDING[serviceClass], ...engine };
}

/** A shared or the host's network namespace brings its own host name. */
function withHostname(assignment: Assignment, joins: boolean): ContainerRequest["engine"] {
  const { spec } = assignment;
  if (joins || spec.networkMode === "host") return spec.engine;
  return { ...spec.engine, hostname: hostnameOf(assignment) };
}

/** `web-1` unless the file names one. */
export function hostnameOf({ task, spec }: Assignment): string {
  // Host names are DNS labels, service names may have dots and underscores.
  const own = taskName(task)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, "-");
  return spec.engine.hostname ?? own;
}

function networkOf(assignment: Assignment, podContainerId: string | undefined): ContainerNetwork {
  const { task, spec } = assignment;
  if (podContainerId !== undefined) return { kind: "container", containerId: podContainerId };
  if (spec.networkMode === "host") return { kind: "host" };
  if (spec.networkMode === "none" || task.attachments.length === 0) return { kind: "none" };
  return { kind: "networks", attachments: task.attachments };
}

/** Mounts that need no file of the agent's. */
function mountsOf(assignment: Assignment): ContainerMount[] {
  const mounts: ContainerMount[] = [];
  for (const mount of assignment.spec.mounts) {
    switch (mount.kind) {
      case "volume": {
        const { target, readOnly, subpath } = mount;
        const engineName = assignment.volumes[mount.volume]?.engineName ?? mount.volume;
        const noCopy = mount.noCopy ?? false;
        const base = { kind: "volume" as const, engineName, target, readOnly, noCopy };
        mounts.push(subpath === undefined ? base : { ...base, subpath });
        break;
      }
      case "host": {
        const { kind: _host, ...bind } = mount;
        mounts.push({ kind: "bind", ...bind });
        break;
      }
      case "tmpfs":
        mounts.push(mount);
        break;
      case "object":
        break;
    }
  }
  return mounts;
}
