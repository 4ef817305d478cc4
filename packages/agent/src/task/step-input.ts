/**
 * What `step` decides from: the wish, the record, the observed container and a few facts, all as plain
 * data. Whatever is not in here does not influence the life of a task.
 * Design page: docs/design/tasks.md
 */

import type { Assignment } from "@berth/protocol";
import type { ContainerState } from "../runtime/port.ts";
import type { HostStopFact } from "./host-stop.ts";
import type { Operation } from "./operation.ts";
import type { TaskRecord } from "./record.ts";

/**
 * What the server wants of a task, as far as it may be believed (see sync/trust.ts).
 * `forget`: like `stop`, and nobody will ask about the task again.
 */
export type Intent = "run" | "stop" | "forget";

/** Whether somebody else has, or may have, an exclusive volume of the task. */
export type LockFact =
  | { readonly kind: "free" }
  | { readonly kind: "held"; readonly engineName: string; readonly holder: string };

/** The container of the pod's first task, for tasks that join one. */
export type PodFact =
  | { readonly kind: "alone" }
  | { readonly kind: "waiting"; readonly task: string }
  | { readonly kind: "running"; readonly task: string; readonly containerId: string };

export type Verdict = "pending" | "good" | "bad";

/** A copy that is not ready for this long is told why: most are ready sooner, and cost no report. */
export const TELL_UNREADY_AFTER_MS = 1_500;

/** What the probes say of the present attempt. A probe that the spec does not have is `good`. */
export interface ProbeFacts {
  readonly startup: Verdict;
  readonly ready: Verdict;
  readonly live: Verdict;
  /** Words of the last failed check. */
  readonly message?: string;
}

export interface StepFacts {
  readonly bootId: string;
  /** A server of our cluster has answered since the host booted. */
  readonly contactSinceBoot: boolean;
  readonly lock: LockFact;
  readonly pod: PodFact;
  /** This agent has prepared the present attempt. */
  readonly prepared: boolean;
  /** This agent follows the container: logs, statistics. */
  readonly attended: boolean;
  /** This agent checks the container. */
  readonly probing: boolean;
  readonly probes: ProbeFacts;
  /** No other copy of the service on this node is being restarted for its live probe. */
  readonly liveTurn: boolean;
  /** The post-start commands of the present attempt are done. */
  readonly hooked: boolean;
  /** No endpoint and no connection is left. */
  readonly drained: boolean;
  /** What the exited attempt left has been gathered. */
  readonly gathered: boolean;
  /** The host shuts down, or a person stopped the platform with its containers. */
  readonly hostStop: HostStopFact;
}

export interface StepInput {
  readonly intent: Intent;
  readonly assignment: Assignment;
  /** Nothing when the task was never seen, or the local database was lost. */
  readonly record: TaskRecord | undefined;
  /** The container of the record's attempt; without a record, that of the highest attempt. */
  readonly container: ContainerState | undefined;
  /** Containers of the task's other attempts. */
  readonly leftovers: readonly ContainerState[];
  readonly facts: StepFacts;
  /** Wall time. */
  readonly now: number;
}

/** Why nothing is done now. `waitUntil` is set where time alone ends the wait. */
export type WaitReason = "contact" | "lock" | "pod" | "backoff" | "host" | "settled";

/** What is to be recorded, then done. Exactly one of `command` and `wait` is there, or neither: go on. */
export interface Decision {
  readonly next: TaskRecord;
  readonly command?: Operation;
  readonly wait?: WaitReason;
  readonly waitUntil?: number;
}

/** Its process runs or may run again without us: phases after which only a removal is final. */
export function isAlive(container: ContainerState | undefined): boolean {
  return container?.phase === "running" || container?.phase === "paused";
}

/** Its process has run and ended. */
export function hasEnded(container: ContainerState | undefined): boolean {
  return container?.phase === "exited" || container?.phase === "dead";
}
