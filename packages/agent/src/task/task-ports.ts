/**
 * Everything that operations of a task reach out to. The composition root (agent.ts) fills it with real
 * things, the simulation and tests with fakes.
 */

import type { Clock, Logger, Prng } from "@berth/base";
import type { Assignment, Network, Task } from "@berth/protocol";
import type { ImageFetcher } from "../images/image-fetcher.ts";
import type { RegistryCredentials } from "../images/registry-credentials.ts";
import type { ContainerMount, ContainerState, Runtime } from "../runtime/port.ts";
import type { AgentState } from "../state/agent-state.ts";
import type { Containers } from "./containers.ts";
import type { HostStop } from "./host-stop.ts";
import type { LiveTurns } from "./live-turns.ts";
import type { Operation } from "./operation.ts";
import type { TaskRecord } from "./record.ts";
import type { Slots } from "./slots.ts";
import type { Progress } from "./status.ts";
import type { ProbeFacts } from "./step-input.ts";

/** Files of tasks: configs, secrets, objects, resolv.conf. */
export interface TaskFilesPort {
  /** Makes what the task's container mounts, idempotently. */
  prepare(
    assignment: Assignment,
    networks: ReadonlyMap<string, Network>,
    signal: AbortSignal,
  ): Promise<readonly ContainerMount[]>;
  /** The blob of a volume's seed, a tar archive. */
  seed(digest: string, signal: AbortSignal): Promise<Uint8Array>;
  remove(task: string): Promise<void>;
}

/** The node's data plane as a task sees it. */
export interface TaskNetPort {
  /** Resolves when names, isolation and attachments of the task's networks are in place. */
  ensureAttached(task: Task, signal: AbortSignal): Promise<void>;
  /** Resolves when the ways of the task's networks to other nodes are in place; their bridges are there. */
  ensureWays(task: Task, signal: AbortSignal): Promise<void>;
  /** Something that the model depends on has changed. Cheap. */
  changed(): void;
  /** Whether anybody can be connected to the task, or can connect: false only where that is certain. */
  isReachable(assignment: Assignment): Promise<boolean>;
  /**
   * Resolves with true when names, service addresses and ingress follow a model that has this moment's
   * records; with false at `untilMs` (wall time).
   */
  leave(untilMs: number, signal: AbortSignal): Promise<boolean>;
  /** Resolves when the task has no connection and clients have forgotten its address, or at the latest. */
  drain(assignment: Assignment, options: DrainOptions, signal: AbortSignal): Promise<void>;
}

export interface DrainOptions {
  /** When its endpoints were gone everywhere. Wall time. */
  readonly acknowledgedAt: number;
  /** The latest end. Wall time. */
  readonly untilMs: number;
  /** Told of each count; `undefined` when it is not known. */
  readonly onCount: (connections: number | undefined) => void;
}

/** Checks of running containers. */
export interface TaskProbesPort {
  /** Begins, or goes on with another container. `onChange` is called when there is something to decide or to tell. */
  begin(target: ProbeTarget, onChange: () => void): void;
  end(task: string): void;
  factsOf(task: string): ProbeFacts;
}

export interface ProbeTarget {
  readonly assignment: Assignment;
  readonly containerId: string;
  readonly startedAt: number;
  /** Was ready before: it stays so until checks fail, also over a restart of the agent. */
  readonly ready: boolean;
}

/** Capture of what containers write. */
export interface TaskLogsPort {
  /** Begins or goes on to capture; idempotent. */
  attach(assignment: Assignment, attempt: number, containerId: string): void;
  /** Resolves when everything that an ended container wrote is stored; bounded by the signal. */
  finish(containerId: string, signal: AbortSignal): Promise<void>;
  tail(assignment: Assignment, attempt: number, lines: number): Promise<readonly string[]>;
}

/** Called right before and right after each operation: kill tests end the agent here. */
export type BoundaryHook = (
  task: string,
  operation: Operation,
  when: "before" | "after",
) => Promise<void> | void;

export interface TaskPorts {
  readonly cluster: () => string;
  readonly node: string;
  readonly bootId: string;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: Logger;
  readonly runtime: Runtime;
  readonly state: AgentState;
  readonly containers: Containers;
  readonly files: TaskFilesPort;
  readonly net: TaskNetPort;
  readonly probes: TaskProbesPort;
  readonly logs: TaskLogsPort;
  readonly networks: NetworksPort;
  readonly images: ImagesPort;
  /** Images that are not here: from their registry, or from another node. */
  readonly fetcher: Pick<ImageFetcher, "ensure">;
  /** Logins at registries, asked when an image has to be fetched. */
  readonly credentials: Pick<RegistryCredentials, "authFor">;
  /** Creations and starts at once. */
  readonly starts: Slots;
  readonly pulls: Slots;
  /** Stops and removals at once. */
  readonly stops: Slots;
  readonly liveTurns: LiveTurns;
  readonly hostStop: HostStop;
  /** No server was reached for too long: another node may be given what the task uses alone. */
  readonly isIsolated: (task: string) => boolean;
  readonly onBoundary: BoundaryHook;
  /** A record, or its progress, is to be reported. */
  readonly report: (record: TaskRecord, progress?: Progress) => void;
  /** Something happened that tasks waiting for `what` should look at. */
  readonly wakeWaiting: (what: "lock" | "pod" | "contact") => void;
  /** The container that tasks of `task`'s pod join, while it runs. */
  readonly podContainer: (task: string) => ContainerState | undefined;
}

/** Remembers whose images are, so that they may be removed when nobody needs them. */
export interface ImagesPort {
  /** We brought it to this node. */
  noteOwn(imageId: string, now: number): Promise<void>;
  noteUse(imageId: string, now: number): Promise<void>;
}

/** Bridges of this node: made before their first container, removed after their last. */
export interface NetworksPort {
  ensure(network: Network, signal: AbortSignal): Promise<void>;
  /** A task is gone: its networks may be of no more use. */
  released(): void;
}
