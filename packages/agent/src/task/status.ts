/** From a record to the status that the server gets. Pure. */

import type { Leaving, TaskStatus } from "@berth/protocol";
import type { TaskRecord } from "./record.ts";
import { recentFailures } from "./restart.ts";

/** What is reported besides the record: it changes too often to be written down. */
export interface Progress {
  readonly pullDoneBytes?: number;
  readonly pullTotalBytes?: number;
  /** Open connections of a draining task. */
  readonly connections?: number;
}

/** Fields of the record that are in the status under the same name. */
const SAME = [
  "readyAt",
  "startedAt",
  "exitedAt",
  "exitCode",
  "oomKilled",
  "outcome",
  "message",
  "code",
  "logTail",
  "nextAttemptAt",
  "containerId",
] as const;

export function statusOf(
  record: TaskRecord,
  node: string,
  now: number,
  { connections, ...progress }: Progress = {},
): TaskStatus {
  const leaving = leavingOf(record, connections);
  const same: Record<string, unknown> = {};
  for (const field of SAME) if (record[field] !== undefined) same[field] = record[field];
  return {
    task: record.task,
    node,
    sequence: record.sequence,
    attempt: record.attempt,
    state: record.state,
    ready: record.ready && record.state === "running",
    recentFailures: recentFailures(record, now).length,
    updatedAt: now,
    ...(leaving === undefined ? {} : { leaving }),
    ...same,
    ...progress,
  };
}

/** What a leaving task waits for, and until when at the latest. */
function leavingOf(record: TaskRecord, connections: number | undefined): Leaving | undefined {
  const { state, acknowledgeUntil, acknowledgedAt, drainUntil, stopUntil } = record;
  if (state === "stopping" && stopUntil !== undefined)
    return { phase: "process", until: stopUntil };
  if (state !== "draining") return undefined;
  if (acknowledgedAt === undefined && acknowledgeUntil !== undefined) {
    return { phase: "acknowledgement", until: acknowledgeUntil };
  }
  if (drainUntil === undefined) return undefined;
  const counted = connections === undefined ? {} : { connections };
  return { phase: "connections", until: drainUntil, ...counted };
}
