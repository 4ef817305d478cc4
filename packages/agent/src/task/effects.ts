/**
 * What the operations do. Each function is one row of `OPERATIONS`; it may be called again after a crash at
 * any point of it, and decides nothing about the task's life.
 */

import { type Network, ProtocolError, type Task } from "@berth/protocol";
import type { ContainerMount, ContainerRequest } from "../runtime/port.ts";
import type { ToldTask } from "../state/agent-state.ts";
import { exclusiveVolumes, holderAmong } from "../state/volume-locks.ts";
import { containerRequest } from "./container-request.ts";
import { withDeadline } from "./deadline.ts";
import { runHooks } from "./hooks.ts";
import { OPERATIONS, type Operation, type OperationResult } from "./operation.ts";
import type { TaskRecord } from "./record.ts";
import type { Progress } from "./status.ts";
import type { TaskPorts } from "./task-ports.ts";

/** What this life of the agent has done for a task's present attempt; lost with the agent, and harmless. */
export interface AttemptMemory {
  mounts: readonly ContainerMount[] | undefined;
  /** Networks, names and isolation, once begun: the container may be created meanwhile. Never rejects. */
  networking: Promise<NetworkingResult> | undefined;
  attendedId: string | undefined;
  probing: boolean;
  hooked: boolean;
  drained: boolean;
  gathered: boolean;
}

export interface EffectContext {
  readonly ports: TaskPorts;
  readonly told: ToldTask;
  readonly record: TaskRecord;
  readonly memory: AttemptMemory;
  readonly signal: AbortSignal;
  /** Looks at the task again. */
  readonly wake: () => void;
}

type NetworkingResult =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: unknown };

type Effect = (context: EffectContext) => Promise<OperationResult | undefined>;

/** Progress of pulls is reported at most this often: people read it, nothing decides by it. */
const PROGRESS_PERIOD_MS = 500;
/** Numbers of open connections likewise: seconds are what people read. */
const DRAIN_REPORT_PERIOD_MS = 1_000;
/** Lines of a failed attempt that travel with its status. */
const LOG_TAIL_LINES = 50;

export const EFFECTS: Readonly<Record<Operation, Effect>> = {
  adopt,
  sweep,
  pull,
  prepare,
  create,
  start,
  hook,
  probe,
  ready,
  leave,
  drain,
  stop,
  exit,
  remove,
  forget,
};

async function adopt({ ports, told, record, memory }: EffectContext): Promise<undefined> {
  const { containerId } = record;
  if (containerId === undefined) return;
  ports.logs.attach(told.assignment, record.attempt, containerId);
  memory.attendedId = containerId;
  ports.net.changed();
}

async function sweep({ ports, record, signal }: EffectContext): Promise<undefined> {
  for (const container of ports.containers.of(record.task)) {
    if (container.id === record.containerId && record.state !== "exited") continue;
    await ports.stops.run("finish", signal, () => removeContainer(ports, container.id, signal));
  }
}

async function removeContainer(ports: TaskPorts, id: string, signal: AbortSignal): Promise<void> {
  await ports.runtime.removeContainer(id, signal);
  ports.containers.drop(id);
}

async function pull(context: EffectContext): Promise<OperationResult> {
  const { ports, told, record, signal } = context;
  let reportedAt = Number.NEGATIVE_INFINITY;
  let isFetched = false;
  const { image: pinned, task } = told.assignment;
  const image = await ports.pulls.run("begin", signal, () =>
    ports.fetcher.ensure(pinned, {
      signal,
      auth: () => ports.credentials.authFor(task.project, pinned.reference),
      onProgress: ({ doneBytes, totalBytes }) => {
        isFetched = true;
        const now = ports.clock.monotonic();
        if (doneBytes === undefined || now - reportedAt < PROGRESS_PERIOD_MS) return;
        reportedAt = now;
        const total = totalBytes === undefined ? {} : { pullTotalBytes: totalBytes };
        tellProgress(ports, record, { pullDoneBytes: doneBytes, ...total });
      },
    }),
  );
  if (isFetched) await ports.images.noteOwn(image.imageId, ports.clock.now());
  return { operation: "pull", imageId: image.imageId };
}

async function prepare({ ports, told, memory, signal }: EffectContext): Promise<undefined> {
  const { assignment } = told;
  const { task, spec } = assignment;
  const { fact, changes } = ports.state.locks.take(task);
  // Somebody was faster: the gate keeps the task from here on.
  if (fact.kind === "held") return;
  if (changes.length > 0) await ports.state.commit(changes);
  const networks = task.attachments.map(({ networkId }) => knownNetwork(ports, networkId));
  memory.networking = ensureNetworking(ports, task, networks).then(
    () => ({ kind: "ready" }) as const,
    (error: unknown) => ({ kind: "failed", error }) as const,
  );
  for (const [name, volume] of Object.entries(assignment.volumes)) {
    if (!spec.mounts.some((mount) => mount.kind === "volume" && mount.volume === name)) continue;
    await ensureVolume(ports, task, volume, signal);
  }
  memory.mounts = await ports.files.prepare(assignment, ports.state.networks, signal);
}

function knownNetwork(ports: TaskPorts, networkId: string): Network {
  const network = ports.state.networks.get(networkId);
  if (network !== undefined) return network;
  const message = `the server has not told about network ${networkId} yet`;
  throw new ProtocolError("unavailable", message, { networkId });
}

/** Goes on beside the operations that follow; whoever needs it awaits it, with a deadline of their own. */
async function ensureNetworking(
  ports: TaskPorts,
  task: Task,
  networks: readonly Network[],
): Promise<void> {
  const parent = new AbortController().signal;
  const deadline = { ms: OPERATIONS.prepare.deadlineMs, what: "making networks", parent };
  await withDeadline(ports.clock, deadline, async (signal) => {
    const bridges = networks.map((network) => ports.networks.ensure(network, signal));
    await Promise.all([...bridges, ports.net.ensureAttached(task, signal)]);
    await ports.net.ensureWays(task, signal);
  });
}

/** Resolves when the task's networks are there; a failure of theirs is the caller's, and prepares anew. */
async function networked(memory: AttemptMemory): Promise<void> {
  const result = await memory.networking;
  if (result?.kind !== "failed") return;
  memory.mounts = undefined;
  memory.networking = undefined;
  throw result.error;
}

async function ensureVolume(
  ports: TaskPorts,
  task: ToldTask["assignment"]["task"],
  volume: ToldTask["assignment"]["volumes"][string],
  signal: AbortSignal,
): Promise<void> {
  const { engineName, driver, driverOptions, seedDigest } = volume;
  const labels = {
    ...volume.labels,
    "berth.stack": `${task.project}/${task.environment}/${task.stack}`,
  };
  const request = { engineName, cluster: ports.cluster(), driverOptions, labels };
  await ports.runtime.ensureVolume(driver === undefined ? request : { ...request, driver }, signal);
  if (seedDigest === undefined || ports.state.isSeeded(engineName)) return;
  // Seeding is remembered apart from the volume: an agent that dies between the two seeds it again, and a
  // volume that its user emptied stays empty.
  await ports.runtime.seedVolume(engineName, await ports.files.seed(seedDigest, signal), signal);
  await ports.state.noteSeeded(engineName);
}

async function create(context: EffectContext): Promise<OperationResult> {
  const { ports, told, signal } = context;
  const request = requestOf(context);
  const made = await ports.starts.run("begin", signal, async () => {
    await assertAlone(ports, told, signal);
    return await ports.runtime.createContainer(request, signal, () => networked(context.memory));
  });
  ports.containers.note(made);
  await ports.images.noteUse(request.imageId, ports.clock.now());
  const podContainerId = podContainerOf(context);
  const pod = podContainerId === undefined ? {} : { podContainerId };
  return { operation: "create", containerId: made.id, ...pod };
}

function requestOf(context: EffectContext): ContainerRequest {
  const { ports, told, record, memory } = context;
  const podContainerId = podContainerOf(context);
  const { imageId } = record;
  if (imageId === undefined) throw new ProtocolError("internal", "created before it was pulled");
  return containerRequest({
    cluster: ports.cluster(),
    assignment: told.assignment,
    attempt: record.attempt,
    imageId,
    fileMounts: memory.mounts ?? [],
    ...(podContainerId === undefined ? {} : { podContainerId }),
  });
}

function podContainerOf({ ports, told }: EffectContext): string | undefined {
  const { podTask } = told.assignment.task;
  const podContainerId = podTask === undefined ? undefined : ports.podContainer(podTask)?.id;
  if (podTask !== undefined && podContainerId === undefined) {
    throw new ProtocolError("unavailable", "the container to share with does not run", { podTask });
  }
  return podContainerId;
}

/**
 * The last look before a process of an exclusive task can come to life: its locks are held, and the engine
 * itself knows no other living container on its volumes. Costs a listing, for exclusive tasks only.
 */
async function assertAlone(ports: TaskPorts, told: ToldTask, signal: AbortSignal): Promise<void> {
  const { task } = told.assignment;
  if (exclusiveVolumes(task).length === 0) return;
  if (!ports.state.locks.holds(task)) {
    throw new ProtocolError("conflict", "the task does not hold its volumes", { task: task.id });
  }
  const begun = ports.containers.begin();
  const listed = await ports.runtime.listContainers(ports.cluster(), signal);
  ports.containers.replaceAll(begun, listed);
  const fact = holderAmong(task, listed);
  if (fact.kind === "free") return;
  const message = `volume ${fact.engineName} is in use by task ${fact.holder}`;
  throw new ProtocolError("conflict", message, {
    engineName: fact.engineName,
    holder: fact.holder,
  });
}

async function start(context: EffectContext): Promise<OperationResult> {
  const { ports, told, record, memory, signal } = context;
  await networked(memory);
  const created = record.containerId ?? ports.containers.of(record.task).at(-1)?.id;
  if (created === undefined) throw new ProtocolError("internal", "started before it was created");
  const id = await ports.starts.run("finish", signal, async () => {
    await assertAlone(ports, told, signal);
    const outcome = await ports.runtime.startContainer(created, signal);
    return outcome === "started" ? created : await startAnew(context, created);
  });
  const startedAt = ports.clock.now();
  const noted = ports.containers.get(id);
  // An event may have been faster, with the end of a process that lived for milliseconds.
  if (noted?.phase === "created") ports.containers.note({ ...noted, phase: "running", startedAt });
  ports.logs.attach(told.assignment, record.attempt, id);
  memory.attendedId = id;
  return { operation: "start", startedAt, containerId: id };
}

/** The first start left nothing behind: the attempt has had no process yet, and is made once more. */
async function startAnew(context: EffectContext, undone: string): Promise<string> {
  const { ports, signal } = context;
  ports.containers.drop(undone);
  const made = await ports.runtime.createContainer(requestOf(context), signal);
  ports.containers.note(made);
  const outcome = await ports.runtime.startContainer(made.id, signal);
  if (outcome === "started") return made.id;
  ports.containers.drop(made.id);
  throw new ProtocolError("engine_error", "the container could not be given its networks in time");
}

async function hook({
  ports,
  told,
  record,
  memory,
  signal,
}: EffectContext): Promise<OperationResult> {
  const { containerId } = record;
  const hooks = told.assignment.spec.postStart ?? [];
  if (containerId !== undefined) {
    const failure = await runHooks(ports, { containerId, hooks, signal });
    if (failure !== undefined) {
      throw new ProtocolError("engine_error", `post-start command failed: ${failure}`);
    }
  }
  memory.hooked = true;
  return { operation: "hook" };
}

async function probe({ ports, told, record, memory, wake }: EffectContext): Promise<undefined> {
  const { containerId, startedAt, ready: wasReady } = record;
  if (containerId === undefined) return;
  const target = {
    assignment: told.assignment,
    containerId,
    startedAt: startedAt ?? ports.clock.now(),
    ready: wasReady,
  };
  ports.probes.begin(target, wake);
  memory.probing = true;
  ports.wakeWaiting("pod");
}

async function ready({ ports }: EffectContext): Promise<undefined> {
  ports.net.changed();
}

async function leave({
  ports,
  told,
  record,
  signal,
}: EffectContext): Promise<OperationResult | undefined> {
  const { net, clock } = ports;
  const { assignment } = told;
  if (!(await net.isReachable(assignment))) {
    net.changed();
    const now = clock.now();
    return { operation: "leave", acknowledgedAt: now, drainUntil: now };
  }
  // Without a word in time there is nothing to settle: the step table decides what follows.
  const until = Math.min(record.acknowledgeUntil ?? 0, ports.hostStop.hurryAt);
  if (!(await net.leave(until, signal))) return undefined;
  const now = clock.now();
  const drainUntil = Math.max(now, Math.min(now + assignment.spec.drainMs, ports.hostStop.hurryAt));
  return { operation: "leave", acknowledgedAt: now, drainUntil };
}

async function drain({ ports, told, record, memory, signal }: EffectContext): Promise<undefined> {
  let toldAt = Number.NEGATIVE_INFINITY;
  let toldCount: number | undefined;
  const onCount = (connections: number | undefined) => {
    const now = ports.clock.monotonic();
    if (connections === toldCount || now - toldAt < DRAIN_REPORT_PERIOD_MS) return;
    toldAt = now;
    toldCount = connections;
    tellProgress(ports, record, connections === undefined ? {} : { connections });
  };
  const { acknowledgedAt = 0, drainUntil = 0 } = record;
  const untilMs = Math.min(drainUntil, ports.hostStop.hurryAt);
  const options = { acknowledgedAt, untilMs, onCount };
  await ports.net.drain(told.assignment, options, signal);
  memory.drained = true;
}

/** Reports what is not worth a record, under a number of its own: else the server takes it for old news. */
function tellProgress(ports: TaskPorts, record: TaskRecord, progress: Progress): void {
  const latest = ports.state.records.get(record.task) ?? record;
  const numbered = { ...latest, sequence: latest.sequence + 1 };
  ports.state.noteRecord(numbered);
  ports.report(numbered, progress);
}

async function stop({ ports, told, record, signal }: EffectContext): Promise<undefined> {
  const { spec } = told.assignment;
  // An agent that was killed meanwhile does not give the process more time.
  const { stopUntil = ports.clock.now() + spec.stopGraceMs } = record;
  const leftMs = () => Math.min(spec.stopGraceMs, Math.max(0, stopUntil - ports.clock.now()));
  ports.net.changed();
  for (const container of ports.containers.of(record.task)) {
    if (container.phase !== "running" && container.phase !== "paused") continue;
    // What the hooks take is taken from the grace period, as orchestrators do.
    if (spec.preStop !== undefined && container.phase === "running") {
      const options = { containerId: container.id, hooks: spec.preStop, signal };
      const failure = await runHooks(ports, { ...options, budgetMs: leftMs() });
      if (failure !== undefined) ports.log.warn("pre-stop command failed", { failure });
    }
    await ports.stops.run("begin", signal, () =>
      ports.runtime.stopContainer(container.id, leftMs(), signal),
    );
    await observe(ports, container.id, signal);
  }
}

/** Looks at one container and notes what is seen. */
export async function observe(ports: TaskPorts, id: string, signal: AbortSignal): Promise<void> {
  const state = await ports.runtime.inspectContainer(id, signal);
  if (state === undefined) ports.containers.drop(id);
  else ports.containers.note(state);
}

async function exit({
  ports,
  told,
  record,
  memory,
  signal,
}: EffectContext): Promise<OperationResult> {
  const { task, attempt, containerId } = record;
  ports.probes.end(task);
  ports.net.changed();
  memory.gathered = true;
  if (containerId === undefined) return { operation: "exit", logTail: [] };
  await ports.logs.finish(containerId, signal);
  const logTail = await ports.logs.tail(told.assignment, attempt, LOG_TAIL_LINES);
  return { operation: "exit", logTail };
}

async function remove({ ports, record, signal }: EffectContext): Promise<OperationResult> {
  const { task, containerId } = record;
  ports.probes.end(task);
  const containers = ports.containers.of(task);
  if (containerId !== undefined && containers.some(({ id }) => id === containerId)) {
    await ports.logs.finish(containerId, signal);
  }
  // Also what nobody observed: a creation may have been under way when an earlier agent ended.
  const names = new Set([...containers.map(({ id }) => id), ...(containerId ? [containerId] : [])]);
  for (const id of names) {
    await ports.stops.run("finish", signal, () => removeContainer(ports, id, signal));
  }
  await assertGone(ports, task, signal);
  await ports.files.remove(task);
  return { operation: "remove" };
}

/** Locks may be freed only when the engine itself says that nothing is left. */
async function assertGone(ports: TaskPorts, task: string, signal: AbortSignal): Promise<void> {
  if (ports.state.locks.held(task).length === 0) return;
  const begun = ports.containers.begin();
  ports.containers.replaceAll(begun, await ports.runtime.listContainers(ports.cluster(), signal));
  const left = ports.containers.of(task).length;
  if (left === 0) return;
  throw new ProtocolError("conflict", "containers of an ended task are still there", {
    task,
    left,
  });
}

async function forget({ ports, record }: EffectContext): Promise<undefined> {
  await ports.state.forgetTask(record.task);
}
