/**
 * The life of a task as one table: states, what they mean, which moves are legal.
 *
 * A task is one copy on one node; it is never moved, only replaced. Its position is (attempt, state) and
 * only grows, lexicographically: within an attempt states go down the table, a local restart begins the
 * next attempt at `pulling`. Readiness is no state, since it may come and go: it is a field of a running
 * task. Only the agent moves a task; a controller that gives a task up writes a verdict beside it.
 */

import { assertNever } from "@berth/base";

/** States in the order of a task's life, with their meaning. */
export const TASK_STATES = {
  assigned: "Known to its node; nothing has been done.",
  pulling: "The image is being fetched, or its presence is being checked.",
  creating: "Networks, volumes and files are prepared and the container is created.",
  starting: "The container was created and is being started.",
  running: "The process runs; `ready` says whether it may get requests.",
  draining: "Taken out of endpoints; open connections may finish.",
  stopping: "Asked to end: hook, signal, grace period, kill.",
  exited: "The process of this attempt has ended; another attempt may follow.",
  ended: "No attempt will follow; `outcome` says how it ended.",
  removed: "Nothing of it is left on its node: container gone, locks and addresses free.",
} as const satisfies Readonly<Record<string, string>>;

export type TaskState = keyof typeof TASK_STATES;

const ORDER = Object.keys(TASK_STATES) as readonly TaskState[];
const RANK = Object.fromEntries(ORDER.map((state, rank) => [state, rank])) as Readonly<
  Record<TaskState, number>
>;

/** How a task ended for good. */
export const TASK_OUTCOMES = {
  complete: "Exited with code 0 and was not to be restarted.",
  failed: "Exited with another code, or its probes failed, and was not to be restarted.",
  rejected: "Never ran: image, volume, port or configuration made it impossible.",
  stopped: "Stopped because it was asked to.",
} as const satisfies Readonly<Record<string, string>>;

export type TaskOutcome = keyof typeof TASK_OUTCOMES;

/** Where a task stands. `attempt` counts from 1; 0 while nothing was tried. */
export interface TaskPosition {
  readonly attempt: number;
  readonly state: TaskState;
}

/** Negative when `a` comes before `b` in a task's life, 0 when equal, positive when after. */
export function comparePositions(a: TaskPosition, b: TaskPosition): number {
  const final = (position: TaskPosition) => (RANK[position.state] >= RANK.ended ? 1 : 0);
  if (final(a) !== final(b)) return final(a) - final(b);
  if (a.attempt !== b.attempt) return a.attempt - b.attempt;
  return RANK[a.state] - RANK[b.state];
}

/** Whether a task may go from `from` to `to` in one or more steps. Staying is not a move. */
export function isForward(from: TaskPosition, to: TaskPosition): boolean {
  return comparePositions(from, to) < 0 && from.attempt <= to.attempt;
}

/** The process of the task may be alive: it may hold its volumes, ports and addresses. */
export function mayBeAlive(state: TaskState): boolean {
  switch (state) {
    case "assigned":
    case "pulling":
    case "creating":
    case "starting":
    case "running":
    case "draining":
    case "stopping":
    case "exited":
      return true;
    case "ended":
    case "removed":
      return false;
    default:
      return assertNever(state, "task state");
  }
}

export function isFinal(state: TaskState): boolean {
  return !mayBeAlive(state);
}
