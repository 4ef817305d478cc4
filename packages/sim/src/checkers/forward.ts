/**
 * State only goes forward. A task's (attempt, state) and its report's sequence grow; what was wanted
 * stopped is never wanted again, a verdict stays; deployments and operations that are over stay over;
 * numbers of releases and restarts never fall; what was forgotten is not made again.
 *
 * Speaks at the commit that goes back.
 */

import {
  type Deployment,
  isForward,
  type Operation,
  type Stack,
  type Task,
  type TaskStatus,
} from "@berth/protocol";
import type { Checker, Speak } from "./checker.ts";

type Move = (from: unknown, to: unknown, speak: Speak) => void;

const MOVES: Readonly<Record<string, Move>> = {
  status: (from, to, speak) => moveStatus(from as TaskStatus, to as TaskStatus, speak),
  task: (from, to, speak) => moveTask(from as Task, to as Task, speak),
  stack: (from, to, speak) => moveStack(from as Stack, to as Stack, speak),
  deployment: (from, to, speak) => moveDeployment(from as Deployment, to as Deployment, speak),
  operation: (from, to, speak) => moveOperation(from as Operation, to as Operation, speak),
};

/** Kinds whose names are identifiers: never used twice. */
const ONCE = new Set(["task", "status", "deployment", "operation"]);

export function forwardChecker(): Checker {
  const gone = new Set<string>();
  return {
    name: "forward",
    onWritten(written, _scene, speak) {
      for (const each of written) {
        const { key, kind = "", value, previous } = each;
        if (value === undefined && ONCE.has(kind)) gone.add(key);
        if (value !== undefined && gone.has(key)) speak(`${key} was forgotten and is made again`);
        if (value === undefined || previous === undefined) continue;
        MOVES[kind]?.(previous.decoded, value.decoded, speak);
      }
    },
  };
}

function moveStatus(from: TaskStatus, to: TaskStatus, speak: Speak): void {
  const stays = from.attempt === to.attempt && from.state === to.state;
  if (!stays && !isForward(from, to)) {
    speak(
      `task ${to.task} went from ${from.state} (${from.attempt}) to ${to.state} (${to.attempt})`,
    );
  }
  if (to.sequence <= from.sequence) {
    speak(`report ${to.sequence} of task ${to.task} was taken after ${from.sequence}`);
  }
}

function moveTask(from: Task, to: Task, speak: Speak): void {
  if (from.desired === "stopped" && to.desired === "running") {
    speak(`task ${to.id} was to stop and is wanted again`);
  }
  if (from.verdict !== undefined && to.verdict?.kind !== from.verdict.kind) {
    speak(`the verdict on task ${to.id} was changed`);
  }
  if (from.node !== to.node || from.slot !== to.slot) speak(`task ${to.id} was moved`);
}

function moveStack(from: Stack, to: Stack, speak: Speak): void {
  if (to.releaseMax < from.releaseMax) speak(`stack ${to.stack} forgot release ${from.releaseMax}`);
  if (from.deleting !== undefined && to.deleting === undefined) {
    speak(`the removal of stack ${to.stack} was taken back`);
  }
  for (const [service, count] of Object.entries(from.restarts)) {
    const now = to.restarts[service] ?? 0;
    if (now < count) speak(`restarts of ${to.stack}/${service} fell from ${count} to ${now}`);
  }
}

function moveDeployment(from: Deployment, to: Deployment, speak: Speak): void {
  if (from.state !== "pending" && to.state !== from.state) {
    speak(`deployment ${to.id} was ${from.state} and became ${to.state}`);
  }
}

const OPERATION_RANK = { pending: 0, running: 1, done: 2, failed: 2 } as const;

function moveOperation(from: Operation, to: Operation, speak: Speak): void {
  const isOver = OPERATION_RANK[from.state] === OPERATION_RANK.done;
  const back = OPERATION_RANK[to.state] < OPERATION_RANK[from.state];
  if (back || (isOver && to.state !== from.state)) {
    speak(`operation ${to.id} was ${from.state} and became ${to.state}`);
  }
}
