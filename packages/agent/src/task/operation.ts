/**
 * The operations of a task's life: everything that an agent does to the world on behalf of a task.
 *
 * One runs at a time per task, after the state in which it belongs has been recorded. Each can be repeated
 * after a crash at its beginning, its middle or its end: kill tests enumerate this table.
 * Design page: docs/design/tasks.md
 */

import type { TaskState } from "@berth/protocol";

interface OperationDescription {
  readonly purpose: string;
  /** States that are recorded when it begins. */
  readonly states: readonly TaskState[];
  /** Wanting the task stopped cancels it; the others are waited for. */
  readonly cancelled: boolean;
  /** A final failure ends the attempt; otherwise it is tried again in the same state. */
  readonly fatal: boolean;
  /** How long it may take, beyond what the spec allows itself (grace, drain, hooks). Milliseconds. */
  readonly deadlineMs: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** In the order of a task's life. */
export const OPERATIONS = {
  adopt: {
    purpose: "Takes over a container that an earlier agent started: logs, statistics, probes.",
    states: ["running"],
    cancelled: true,
    fatal: false,
    deadlineMs: 30 * SECOND,
  },
  sweep: {
    purpose: "Removes containers of earlier attempts.",
    states: ["pulling", "creating", "starting", "running", "exited"],
    cancelled: false,
    fatal: false,
    deadlineMs: MINUTE,
  },
  pull: {
    purpose: "Makes the pinned image present.",
    states: ["pulling"],
    cancelled: true,
    fatal: true,
    // A 10 GiB image over 100 Mbit/s takes 14 minutes.
    deadlineMs: 30 * MINUTE,
  },
  prepare: {
    purpose: "Locks volumes and makes networks, volumes, files and names that the container needs.",
    states: ["creating", "starting"],
    cancelled: true,
    fatal: true,
    deadlineMs: 5 * MINUTE,
  },
  create: {
    purpose: "Creates the container of this attempt.",
    states: ["creating"],
    cancelled: false,
    fatal: true,
    deadlineMs: MINUTE,
  },
  start: {
    purpose: "Starts the container.",
    states: ["starting"],
    cancelled: false,
    fatal: true,
    deadlineMs: MINUTE,
  },
  hook: {
    purpose: "Runs the post-start commands.",
    states: ["starting"],
    cancelled: true,
    fatal: true,
    deadlineMs: 10 * MINUTE,
  },
  probe: {
    purpose: "Begins to check the container.",
    states: ["running"],
    cancelled: true,
    fatal: false,
    deadlineMs: 30 * SECOND,
  },
  ready: {
    purpose: "Puts the task into the endpoints of its services, or takes it out.",
    states: ["running"],
    cancelled: true,
    fatal: false,
    deadlineMs: 30 * SECOND,
  },
  leave: {
    purpose:
      "Waits until names, service addresses and ingress confirm that nothing new goes to it.",
    states: ["draining"],
    cancelled: false,
    fatal: false,
    deadlineMs: MINUTE,
  },
  drain: {
    purpose: "Waits until open connections have ended and remembered names have run out.",
    states: ["draining"],
    cancelled: false,
    fatal: false,
    deadlineMs: MINUTE,
  },
  stop: {
    purpose: "Pre-stop commands, stop signal, grace period, kill.",
    states: ["stopping"],
    cancelled: false,
    fatal: false,
    deadlineMs: MINUTE,
  },
  exit: {
    purpose: "Gathers what the process left: last log lines, open probes and streams.",
    states: ["exited"],
    cancelled: false,
    fatal: false,
    deadlineMs: 30 * SECOND,
  },
  remove: {
    purpose: "Removes containers and files of the task and frees its locks and addresses.",
    states: ["ended"],
    cancelled: false,
    fatal: false,
    deadlineMs: 2 * MINUTE,
  },
  forget: {
    purpose: "Deletes a removed task, which the server no longer knows, from the local database.",
    states: ["removed"],
    cancelled: false,
    fatal: false,
    deadlineMs: 30 * SECOND,
  },
} as const satisfies Readonly<Record<string, OperationDescription>>;

export type Operation = keyof typeof OPERATIONS;

/** What came out of an operation, as far as the record keeps it. */
export type OperationResult =
  | { readonly operation: "pull"; readonly imageId: string }
  | { readonly operation: "create"; readonly containerId: string; readonly podContainerId?: string }
  | { readonly operation: "start"; readonly startedAt: number; readonly containerId: string }
  | {
      readonly operation: "leave";
      readonly acknowledgedAt: number;
      readonly drainUntil: number;
    }
  | { readonly operation: "exit"; readonly logTail: readonly string[] }
  | { readonly operation: "hook" | "remove" };

/** An operation that failed for good: it will not succeed by waiting in the same state. */
export interface OperationFailure {
  readonly operation: Operation;
  readonly code: string;
  readonly message: string;
}
