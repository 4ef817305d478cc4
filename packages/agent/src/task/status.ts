/** From a record to the status that the server gets. Pure. */

import type { TaskStatus } from "@berth/protocol";
import type { TaskRecord } from "./record.ts";
import { recentFailures } from "./restart.ts";

/** What is reported besides the record: it changes too often to be written down. */
export interface Progress {
  readonly pullDoneBytes?: number;
  readonly pullTotalBytes?: number;
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
  progress: Progress = {},
): TaskStatus {
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
    ...same,
    ...progress,
  };
}
