/**
 * What the reconciler of one service looks at, and what it answers. Plain data and pure questions, put
 * together from the cluster's state by `stack-input.ts`, by hand in tests.
 */

import type { ReleaseService, ServiceScope, Task, TaskStatus, Wait } from "@berth/protocol";

/** A task with what its agent says, and the revision at which the task was read. */
export interface TaskRecord {
  readonly key: string;
  readonly revision: number;
  readonly task: Task;
  /** Absent until the agent has reported. */
  readonly status: TaskStatus | undefined;
}

/**
 * What may be expected of a node. `draining`: what can move away shall. `evicting`: likewise, by a taint that this
 * service does not tolerate. `down`: silent for longer than its
 * lease. `suspended`: down too, but so many are at once that nothing is given up yet.
 */
export type NodeStanding = "up" | "draining" | "evicting" | "down" | "suspended";

/** Where a copy is wanted: one slot, one node of a global service, or one pod. */
export interface Place {
  /** Unique in the service. Tasks of a place are its history. */
  readonly key: string;
  readonly slot: number;
  /** Only this node will do. */
  readonly node?: string;
  /** The place is inside a pod: the holder's task, or that its start is decided in this very round. */
  readonly pod?: { readonly holder: string; readonly task: string | undefined };
}

/** How a rollout bears on the service. */
export interface Pace {
  /** Nothing is replaced: the rollout is paused and waits for a person. */
  readonly frozen: boolean;
  /** A rollback: no pauses between batches. */
  readonly hurry: boolean;
  /** When the rollout began; absent when there is none. */
  readonly startedAt: number | undefined;
}

export interface ServiceInput {
  readonly scope: ServiceScope;
  readonly now: number;
  /** What the copies shall be; absent when the service is not wanted any more. */
  readonly target: ReleaseService | undefined;
  /** Why there are no more places than these: "scaled to 2", "not in release 4". */
  readonly placesReason: string;
  readonly places: readonly Place[];
  /** Why there are fewer places than copies: volumes that nobody may use just now. */
  readonly holds: readonly Wait[];
  /** The place that a task belongs to; of another key than any in `places` when it is wanted no more. */
  readonly placeKeyOf: (task: Task) => string;
  /** Tasks with a lower restart count are replaced. */
  readonly restartCount: number;
  readonly tasks: readonly TaskRecord[];
  readonly standing: (node: string) => NodeStanding;
  readonly exclusive: boolean;
  /** A task can run on another node: its volumes do not bind it. */
  readonly movable: (task: Task) => boolean;
  /** Of a task on a silent node: a word was given that nothing of it runs any more (fenced.ts). */
  readonly fenced: (task: Task) => boolean;
  /** The task stays as long as the holder of its pod does, although its place is wanted no more. */
  readonly follows: (task: Task) => boolean;
  /** What must come first before anything new starts: dependencies. Empty: nothing. */
  readonly gate: readonly Wait[];
  /** Who else uses what a start in this place needs alone: a volume, a fixed address. */
  readonly blockers: (place: Place) => readonly Blocker[];
  /** All other members of the pod that this task holds are healthy. */
  readonly podHealthy: (task: Task) => boolean;
  readonly pace: Pace;
}

/** A live task that holds what a start needs alone. */
export interface Blocker {
  readonly task: Task;
  readonly wait: Wait;
}

/** A copy that shall be started. */
export interface Start {
  readonly place: Place;
  readonly reason: string;
  /** Node of the place's last task: kept if nothing speaks against it. */
  readonly previousNode: string | undefined;
  /** Nodes where the place failed lately: taken last. */
  readonly failedNodes: readonly string[];
  /** Tasks that are given up in the transaction that commits the start: their node is lost. */
  readonly givesUp: readonly TaskRecord[];
}

/** A task that shall stop. On a node that is lost it is given up. */
export interface Stop {
  readonly record: TaskRecord;
  readonly reason: string;
  readonly giveUp: boolean;
}

/** How a place stands, in the order from best to worst for readers. */
export const PLACE_STATES = {
  settled: "A copy of the target was ready for its minimum healthy time.",
  completed: "Ran to its end with code 0.",
  ready: "A copy of the target is ready, but not for long enough yet.",
  coming: "A copy of the target was started and is not ready.",
  old: "A copy that is to be replaced runs.",
  waiting: "Nothing runs; something must come first.",
  failed: "The copy has ended and will not be started again for this release.",
} as const satisfies Readonly<Record<string, string>>;
export type PlaceState = keyof typeof PLACE_STATES;

/** One place with the task that matters most in it. */
export interface PlaceReport {
  readonly place: Place;
  readonly state: PlaceState;
  readonly record: TaskRecord | undefined;
}

export interface ServiceDecision {
  readonly starts: readonly Start[];
  readonly stops: readonly Stop[];
  readonly waits: readonly Wait[];
  readonly places: readonly PlaceReport[];
  /** Tasks of others that stand in the way of starts. */
  readonly blockedBy: readonly Task[];
  /** Wall time at which something changes by itself; absent: only events matter. */
  readonly nextLookAtMs?: number;
}
