/** Tasks: what a controller wants of a copy, and what its agent says about it. */

import { Type } from "typebox";
import { Identifier, type ServiceScope, Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";
import { TASK_OUTCOMES, TASK_STATES } from "../task-state.ts";
import { NodeDevice } from "./node.ts";
import { PinnedImage } from "./release.ts";
import { ServiceSpec } from "./service-spec.ts";

function literals<Key extends string>(table: Readonly<Record<Key, string>>) {
  return Type.Enum(Object.keys(table) as [Key, ...Key[]]);
}

/** Address of a task in a network, from the plan's commit until its removal is confirmed. */
export const Attachment = Type.Object({
  networkId: Type.String(),
  address: Type.String(),
  /** A function of the address, unless the file gives one. */
  mac: Type.String(),
  /** IPv6 address, where the network has IPv6. */
  address6: Type.Optional(Type.String()),
  /** Name of the interface in the container, where the file gives one. */
  interfaceName: Type.Optional(Type.String()),
});
export type Attachment = Of<typeof Attachment>;

export const TaskVolume = Type.Object({
  /** Key in the stack's `volumes`. */
  volume: Type.String(),
  /** Name of the volume at the engine of its node; made by the platform, never reused. */
  engineName: Type.String(),
  exclusive: Type.Boolean(),
});
export type TaskVolume = Of<typeof TaskVolume>;

/** Why a controller gave a task up. The agent answers a verdict by stopping. */
export const Verdict = Type.Object({
  kind: Type.Union([Type.Literal("lost"), Type.Literal("evicted"), Type.Literal("replaced")]),
  reason: Type.String(),
  at: Timestamp,
});
export type Verdict = Of<typeof Verdict>;

/**
 * A person took the copy out of service: no name, service address or route leads to it, it runs on and does
 * not count as ready. Writer: API.
 */
export const Pause = Type.Object({
  at: Timestamp,
  /** Name of the token. */
  by: Type.String(),
  /** In that person's words. */
  reason: Type.Optional(Type.String({ maxLength: 200 })),
});
export type Pause = Of<typeof Pause>;

/** What a copy that leaves waits for, in this order. */
export const LEAVING_PHASES = {
  acknowledgement: "Names, service addresses and ingress confirm that no new request goes to it.",
  connections: "Open connections end, and names that clients remember run out.",
  process: "Pre-stop commands, the stop signal and the grace period.",
} as const satisfies Readonly<Record<string, string>>;
export type LeavingPhase = keyof typeof LEAVING_PHASES;

/** How far a copy is that leaves. Writer: the agent. */
export const Leaving = Type.Object({
  phase: literals(LEAVING_PHASES),
  /** When the phase ends at the latest, by the clock of the copy's node. */
  until: Timestamp,
  /** Connections that were open at the last count; absent where nobody could count them. */
  connections: Type.Optional(Type.Integer({ minimum: 0 })),
});
export type Leaving = Of<typeof Leaving>;

/** A device that a task was given. */
export const TaskDevice = Type.Object({
  ...NodeDevice.properties,
  /** Thousandths of it; absent where it is the task's alone. */
  shareMillis: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
});
export type TaskDevice = Of<typeof TaskDevice>;

/** A task as controllers write it. */
export const Task = Type.Object({
  id: Identifier,
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
  service: Type.String(),
  /** Ordinal of the copy, from 1; for global services the node decides instead. */
  slot: Type.Integer({ minimum: 1 }),
  release: Type.Integer({ minimum: 1 }),
  template: Type.String(),
  restartCount: Type.Integer({ minimum: 0 }),
  node: Type.String(),
  createdAt: Timestamp,
  desired: Type.Union([Type.Literal("running"), Type.Literal("stopped")]),
  /** Why it is to stop, for people. */
  stopReason: Type.Optional(Type.String()),
  attachments: Type.Array(Attachment),
  volumes: Type.Array(TaskVolume),
  /** Uses something that only one task may use at a time. */
  exclusive: Type.Boolean(),
  /**
   * `failover: fence`: its agent ends it when no server was reached for `deadlineMs`; a server that has not heard
   * of the node for `waitMs` may take it for ended. Both stand in the task, so that no change of a setting can
   * come between them.
   */
  isolation: Type.Optional(
    Type.Object({
      deadlineMs: Type.Integer({ minimum: 1_000 }),
      waitMs: Type.Integer({ minimum: 1_000 }),
    }),
  ),
  /** The task of the same pod that this one joins; on the same node. */
  podTask: Type.Optional(Identifier),
  requests: Type.Object({
    cpuMillis: Type.Integer({ minimum: 0 }),
    memoryBytes: Type.Integer({ minimum: 0 }),
  }),
  /** Exactly these devices of its node are its own, whole or in part. Written with the plan. */
  devices: Type.Optional(Type.Array(TaskDevice)),
  verdict: Type.Optional(Verdict),
  /** Out of service by a person's word, until the same is said to resume. Writer: API. */
  paused: Type.Optional(Pause),
});
export type Task = Of<typeof Task>;

/** What the agent says. One writer: the agent of the task's node. */
export const TaskStatus = Type.Object({
  task: Identifier,
  node: Type.String(),
  /** Raised with every report of a task; a report with a lower or equal number is ignored. */
  sequence: Type.Integer({ minimum: 1 }),
  attempt: Type.Integer({ minimum: 0 }),
  state: literals(TASK_STATES),
  /** Gets requests: every readiness probe is good. Only in state `running`. */
  ready: Type.Boolean(),
  /** Since when `ready` holds without a break. */
  readyAt: Type.Optional(Timestamp),
  /** Start of this attempt's process. */
  startedAt: Type.Optional(Timestamp),
  exitedAt: Type.Optional(Timestamp),
  exitCode: Type.Optional(Type.Integer()),
  oomKilled: Type.Optional(Type.Boolean()),
  outcome: Type.Optional(literals(TASK_OUTCOMES)),
  /** One sentence about what is waited for or what went wrong. */
  message: Type.Optional(Type.String()),
  /** Code of the error behind `message`, from the registry. */
  code: Type.Optional(Type.String()),
  /** Last lines of a failed attempt, at most 50. */
  logTail: Type.Optional(Type.Array(Type.String())),
  /** When the next attempt begins, while backing off. */
  nextAttemptAt: Type.Optional(Timestamp),
  /** Bytes of the image that were fetched, and of all. */
  pullDoneBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  pullTotalBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  containerId: Type.Optional(Type.String()),
  /** While it leaves: in the states `draining` and `stopping`. */
  leaving: Type.Optional(Leaving),
  /** Starts with an unexpected end within the last ten minutes, of this and earlier attempts. */
  recentFailures: Type.Integer({ minimum: 0 }),
  updatedAt: Timestamp,
});
export type TaskStatus = Of<typeof TaskStatus>;

const REPORTED_FIELDS = [
  "attempt",
  "sequence",
  "state",
  "startedAt",
  "exitedAt",
  "exitCode",
  "oomKilled",
  "outcome",
  "message",
  "code",
] as const;
/** What an agent may go on from: a status without what is large, or of the moment. */
export const ReportedEarlier = Type.Pick(TaskStatus, REPORTED_FIELDS);
export type ReportedEarlier = Of<typeof ReportedEarlier>;

/** The part of `status` that an agent may go on from. */
export function reportedOf(status: TaskStatus): ReportedEarlier {
  const kept = REPORTED_FIELDS.map((field) => [field, status[field]] as const);
  return Object.fromEntries(kept.filter(([, value]) => value !== undefined)) as ReportedEarlier;
}

/** A task with all that its agent needs to run it. Made by the server for the agent's watch. */
export const Assignment = Type.Object({
  task: Task,
  spec: ServiceSpec,
  image: PinnedImage,
  /** Engine options of the volumes by key, with the seed of new ones. */
  volumes: Type.Record(
    Type.String(),
    Type.Object({
      engineName: Type.String(),
      driver: Type.Optional(Type.String()),
      driverOptions: Type.Record(Type.String(), Type.String()),
      seedDigest: Type.Optional(Type.String()),
      labels: Type.Optional(Type.Record(Type.String(), Type.String())),
      exclusive: Type.Boolean(),
    }),
  ),
  configs: Type.Record(Type.String(), Type.Object({ digest: Type.String() })),
  secrets: Type.Record(Type.String(), Type.Object({ version: Type.String() })),
  /**
   * What was last reported of the task when this was told. An agent that knows nothing of it (a host that was removed
   * and joined again, a database that was lost) goes on from there: reports from the beginning would be refused as
   * old, and a job that is done would run again.
   */
  reported: Type.Optional(ReportedEarlier),
});
export type Assignment = Of<typeof Assignment>;

/** `web-1`: how people name a copy. */
export function taskName(task: { readonly service: string; readonly slot: number }): string {
  return `${task.service}-${task.slot}`;
}

/** Where a task belongs. */
export function scopeOfTask(task: Task): ServiceScope {
  return task;
}
