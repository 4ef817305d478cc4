/**
 * What an agent remembers of a task: its position, this attempt's facts, the history that decides about
 * the next one. It is written to the local database before the effect that it announces, so that a new
 * agent continues where a killed one stopped.
 *
 * Invariant: (attempt, state) only moves forward (`isForward` of the protocol); `advance` asserts it.
 * Design page: docs/design/tasks.md
 */

import { assert } from "@berth/base";
import {
  isFinal,
  isForward,
  type ReportedEarlier,
  type TaskOutcome,
  type TaskState,
} from "@berth/protocol";

/** Why a running container is being ended. `asked`: for good; the others are followed by a new attempt. */
export const STOP_CAUSES = {
  asked: "The server wants the task stopped, or no longer knows it.",
  live: "Its live probe turned bad.",
  startup: "Its startup probe never became good.",
  pod: "The container whose network or volumes it shares was replaced.",
  host: "The host shuts down, or a person stopped the platform with its containers.",
  isolated: "No server was reached for so long that it may have been started elsewhere.",
} as const satisfies Readonly<Record<string, string>>;
export type StopCause = keyof typeof STOP_CAUSES;

/** Status numbers grow between two writes of a record by less than this. */
export const SEQUENCE_RESERVE = 100_000;

/** One task as its agent knows it. Times are wall times in milliseconds. Written by the runner only. */
export interface TaskRecord {
  readonly task: string;
  /** 0 while nothing was tried. */
  readonly attempt: number;
  readonly state: TaskState;
  /** Of the last status made from this record; only grows. */
  readonly sequence: number;
  /** Boot of the host in which this attempt began. */
  readonly bootId: string;
  /** Gets requests. */
  readonly ready: boolean;
  readonly readyAt?: number;
  /** Was ready at some time of this attempt: connections may exist, so leaving needs a drain. */
  readonly published: boolean;
  /** Local ID of the image, once it is present. */
  readonly imageId?: string;
  readonly containerId?: string;
  /** The container that this one joined, for members of a pod. */
  readonly podContainerId?: string;
  readonly startedAt?: number;
  readonly exitedAt?: number;
  readonly exitCode?: number;
  readonly oomKilled?: boolean;
  readonly outcome?: TaskOutcome;
  readonly message?: string;
  readonly code?: string;
  readonly logTail?: readonly string[];
  /** A process of this task has run in some attempt: it is not rejected any more, but retried. */
  readonly everRan: boolean;
  /** When attempts failed, newest last; only those of the last `FAILURES_WINDOW_MS`. */
  readonly failures: readonly number[];
  /** Failed attempts since the last that lived long: decides the pause before the next. */
  readonly failuresInRow: number;
  /** Restarts made under the file's restart policy. */
  readonly restarts: number;
  readonly nextAttemptAt?: number;
  /** Names, service addresses and ingress are to confirm by then that nothing new goes to it. */
  readonly acknowledgeUntil?: number;
  /** When they had, or when waiting for it was given up. */
  readonly acknowledgedAt?: number;
  /** Open connections may last until then. */
  readonly drainUntil?: number;
  /** The process may take until then, hooks included. */
  readonly stopUntil?: number;
  readonly stopCause?: StopCause;
}

/**
 * A task of which nothing has been done here; `reported`: what the server knows of it nevertheless, because this host
 * has forgotten. What is over stays over: a job that is done does not run again.
 */
export function newRecord(
  task: string,
  bootId: string,
  reported: ReportedEarlier | undefined = undefined,
): TaskRecord {
  const fresh: TaskRecord = {
    task,
    attempt: 0,
    state: "assigned",
    sequence: 0,
    bootId,
    ready: false,
    published: false,
    everRan: false,
    failures: [],
    failuresInRow: 0,
    restarts: 0,
  };
  if (reported === undefined) return fresh;
  const { attempt, state, sequence } = reported;
  const numbered = { ...fresh, attempt, sequence: sequence + SEQUENCE_RESERVE };
  return isFinal(state) ? { ...numbered, ...reported, sequence: numbered.sequence } : numbered;
}

/** Optional facts of one attempt: gone when the next begins. */
const ATTEMPT_FACTS = [
  "readyAt",
  "containerId",
  "podContainerId",
  "startedAt",
  "nextAttemptAt",
  "acknowledgeUntil",
  "acknowledgedAt",
  "drainUntil",
  "stopUntil",
  "stopCause",
] as const;

/**
 * What the last failed attempt left. It stays over the next attempts until one is healthy: reports are
 * coalesced, and whoever reads "running, third attempt" wants to know how the second ended.
 */
export const FAILURE_FACTS = [
  "exitedAt",
  "exitCode",
  "oomKilled",
  "message",
  "code",
  "logTail",
] as const;

type OptionalFact = (typeof ATTEMPT_FACTS)[number] | (typeof FAILURE_FACTS)[number] | "imageId";

/** The next attempt of `record`, at `pulling`. */
export function nextAttempt(record: TaskRecord, bootId: string): TaskRecord {
  const fresh = {
    attempt: record.attempt + 1,
    state: "pulling" as const,
    ready: false,
    published: false,
    bootId,
  };
  const next = { ...without(record, ...ATTEMPT_FACTS), ...fresh };
  assert(isForward(record, next), `attempt ${record.attempt} of ${record.task} is not over`);
  return next;
}

/** `record` in a later state of the same attempt, with further facts of it. */
export function advance(
  record: TaskRecord,
  state: TaskState,
  facts: Partial<Omit<TaskRecord, "task" | "attempt" | "state" | "sequence">> = {},
): TaskRecord {
  const next = { ...record, ...facts, state };
  assert(isForward(record, next), `task ${record.task}: ${record.state} may not become ${state}`);
  return next;
}

/** Without the given optional facts. */
export function without(record: TaskRecord, ...facts: readonly OptionalFact[]): TaskRecord {
  const kept: Record<string, unknown> = { ...record };
  for (const fact of facts) delete kept[fact];
  return kept as unknown as TaskRecord;
}
