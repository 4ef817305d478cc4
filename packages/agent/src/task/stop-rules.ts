/**
 * Rules for a task that is to end, for good or before another attempt; and for one that has ended.
 *
 * Order of leaving: out of the endpoints → confirmed → drain → pre-stop, signal, grace, kill → container gone →
 * locks and addresses free. Design page: docs/design/draining.md
 */

import { formatDuration } from "@berth/base";
import { type Assignment, isFinal } from "@berth/protocol";
import { LABEL_ATTEMPT } from "../runtime/port.ts";
import { afterLeaving, exitFacts } from "./exit.ts";
import { hurries } from "./host-stop.ts";
import { advance, newRecord, type StopCause, type TaskRecord } from "./record.ts";
import type { Rule, RuleInput } from "./rule.ts";
import { type Decision, isAlive, type StepInput } from "./step-input.ts";

/** The record that a container without one stands for: the local database was lost, the engine was not. */
export function adoptedRecord(input: StepInput): TaskRecord | undefined {
  const { container, facts, assignment } = input;
  const { task, reported } = assignment;
  if (container === undefined) return undefined;
  // What is left of a task that is over goes.
  if (reported !== undefined && isFinal(reported.state)) {
    return { ...newRecord(task.id, facts.bootId, reported), state: "ended" };
  }
  const attempt = Number(container.labels[LABEL_ATTEMPT] ?? "1");
  // Of an attempt that is over, as was reported: there is none of a later one.
  if (attempt < (reported?.attempt ?? 0)) return undefined;
  const base = {
    ...newRecord(task.id, facts.bootId, reported),
    attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : 1,
    imageId: container.imageId,
    containerId: container.id,
    everRan: container.phase !== "created",
    ...(container.startedAt === undefined ? {} : { startedAt: container.startedAt }),
  };
  return { ...base, state: container.phase === "created" ? "starting" : "running" };
}

/**
 * Longest wait for names, service addresses and ingress to confirm that they follow: a model takes
 * milliseconds, a reload of HAProxy a second on a busy machine, a `net` that was killed two until it is back.
 */
export const ACKNOWLEDGE_MS_MAX = 10_000;

/** Takes a running task out of service, then ends it. */
export function beginLeaving(input: RuleInput, cause: StopCause, message?: string): Decision {
  const { record, assignment, now } = input;
  const facts = { stopCause: cause, ready: false, ...(message === undefined ? {} : { message }) };
  if (!record.published) return beginStopping({ ...record, ...facts }, assignment, now);
  const acknowledgeUntil = now + ACKNOWLEDGE_MS_MAX;
  return { next: advance(record, "draining", { ...facts, acknowledgeUntil }), command: "leave" };
}

/** Pre-stop commands, signal, grace, kill. */
export function beginStopping(record: TaskRecord, { spec }: Assignment, now: number): Decision {
  const stopUntil = now + spec.stopGraceMs;
  return { next: advance(record, "stopping", { stopUntil }), command: "stop" };
}

/** Its endpoints are to be gone everywhere, and that is not confirmed yet. */
function isLeaving({ record, container }: RuleInput): boolean {
  const { state, acknowledgeUntil, acknowledgedAt } = record;
  const isOpen = acknowledgeUntil !== undefined && acknowledgedAt === undefined;
  return state === "draining" && isAlive(container) && isOpen;
}

function isToEnd({ intent }: RuleInput): boolean {
  return intent !== "run";
}

export const STOP_RULES: readonly Rule[] = [
  {
    name: "forget",
    why: "Nothing is left on the node and nobody will ask about the task any more.",
    when: ({ intent, record }) => record.state === "removed" && intent === "forget",
    then: ({ record }) => ({ next: record, command: "forget" }),
  },
  {
    name: "gone",
    why: "A removed task stays removed, whatever is wanted.",
    when: ({ record }) => record.state === "removed",
    then: ({ record }) => ({ next: record, wait: "settled" }),
  },
  {
    name: "remove",
    why: "What has ended frees its container, files, locks and addresses.",
    when: ({ record }) => record.state === "ended",
    then: ({ record }) => ({ next: record, command: "remove" }),
  },
  {
    name: "keep-leaving",
    why: "Nobody may be sent to a process that ends; the time for it lasts over a restart of the agent.",
    when: (input) =>
      isLeaving(input) &&
      !hurries(input.facts.hostStop) &&
      input.now < (input.record.acknowledgeUntil ?? 0),
    then: ({ record }) => ({ next: record, command: "leave" }),
  },
  {
    name: "unacknowledged",
    why: "A data plane that is away does not hold a task for ever; open connections get their time.",
    when: isLeaving,
    then: ({ record, assignment, now }) => ({
      next: {
        ...record,
        acknowledgedAt: now,
        drainUntil: now + assignment.spec.drainMs,
        message: `names and ingress did not confirm within ${formatDuration(ACKNOWLEDGE_MS_MAX)}`,
      },
    }),
  },
  {
    name: "keep-draining",
    why: "Clients get the time that the file gives them, also over a restart of the agent.",
    when: ({ record, container, facts, now }) =>
      record.state === "draining" &&
      isAlive(container) &&
      !facts.drained &&
      !hurries(facts.hostStop) &&
      now < (record.drainUntil ?? 0),
    then: ({ record }) => ({ next: record, command: "drain" }),
  },
  {
    name: "drained",
    why: "No request reaches it any more, or the time for it is over.",
    when: ({ record, container }) => record.state === "draining" && isAlive(container),
    then: ({ record, assignment, now }) => beginStopping(record, assignment, now),
  },
  {
    name: "stop",
    why: "It was to be stopped when the agent, the engine or the node failed: once more.",
    when: ({ record, container }) => record.state === "stopping" && isAlive(container),
    then: ({ record }) => ({ next: record, command: "stop" }),
  },
  {
    name: "leave",
    why: "A running task that is not wanted leaves its endpoints first.",
    when: (input) =>
      isToEnd(input) &&
      isAlive(input.container) &&
      ["pulling", "creating", "starting", "running"].includes(input.record.state),
    then: (input) => beginLeaving(input, "asked"),
  },
  {
    name: "stopped",
    why: "No process is left, and none is wanted.",
    when: ({ record, intent }) => intent !== "run" || record.stopCause === "asked",
    then: (input) => ({
      next: advance(input.record, "ended", {
        ...(input.record.attempt === 0 || input.record.state === "exited" ? {} : exitFacts(input)),
        outcome: "stopped",
        ready: false,
      }),
    }),
  },
  {
    name: "ended-on-demand",
    why: "Its process was ended by us to begin the next attempt.",
    when: ({ record }) => record.state === "draining" || record.state === "stopping",
    then: (input) => ({ next: afterLeaving(input) }),
  },
];
