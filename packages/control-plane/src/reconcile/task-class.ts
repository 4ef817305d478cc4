/**
 * What a task is to its service right now, by an ordered table: the first rule that holds decides and its
 * sentence says why. Everything else in reconciliation speaks of classes, never of raw states.
 */

import { present } from "@berth/base";
import { isFinal, type ServiceSpec, type TaskStatus } from "@berth/protocol";
import type { NodeStanding, Place, ServiceInput, TaskRecord } from "./service-input.ts";

export type TaskClass =
  | "over"
  | "given-up"
  | "leaving"
  | "following"
  | "surplus"
  | "lost"
  | "outdated"
  | "must-move"
  | "current";

interface ClassRule {
  readonly class: TaskClass;
  readonly says: string;
  readonly holds: (record: TaskRecord, input: ServiceInput) => boolean;
}

const RULES: readonly ClassRule[] = [
  {
    class: "over",
    says: "its agent says that it has ended for good",
    holds: ({ status }) => status !== undefined && isFinal(status.state),
  },
  {
    class: "given-up",
    says: "a verdict lies beside its status: whatever its agent says, it counts no more",
    holds: ({ task }) => task.verdict !== undefined,
  },
  {
    class: "leaving",
    says: "it was asked to stop and has not ended yet",
    holds: ({ task }) => task.desired === "stopped",
  },
  {
    class: "following",
    says: "the holder of its pod is on its way out and takes it along",
    holds: ({ task }, input) => !isWanted(task, input) && input.follows(task),
  },
  {
    class: "surplus",
    says: "no copy is wanted in its place",
    holds: ({ task }, input) => !isWanted(task, input),
  },
  {
    class: "lost",
    says: "its node is silent for longer than its lease",
    holds: ({ task }, input) => input.standing(task.node) === "down",
  },
  {
    class: "outdated",
    says: "it runs another template, or a restart was asked for since",
    holds: ({ task }, input) => !isOfTarget(task, input),
  },
  {
    class: "must-move",
    says: "its node is being drained, or has a taint that evicts it, and nothing binds it there",
    holds: ({ task }, input) => mustLeave(input.standing(task.node)) && input.movable(task),
  },
  { class: "current", says: "it is what is wanted", holds: () => true },
];

/** The class of a task. Total: the last rule always holds. */
export function classify(record: TaskRecord, input: ServiceInput): TaskClass {
  const rule = RULES.find((each) => each.holds(record, input));
  return present(rule, "a rule for a task").class;
}

/** What can move away from such a node shall. */
export function mustLeave(standing: NodeStanding): boolean {
  return standing === "draining" || standing === "evicting";
}

function isWanted(task: TaskRecord["task"], input: ServiceInput): boolean {
  return keysOf(input.places).has(input.placeKeyOf(task));
}

/** Places are looked up once for each task: the set of their keys is made once for each list. */
const keySets = new WeakMap<readonly Place[], ReadonlySet<string>>();

function keysOf(places: readonly Place[]): ReadonlySet<string> {
  const known = keySets.get(places);
  if (known !== undefined) return known;
  const made = new Set(places.map(({ key }) => key));
  keySets.set(places, made);
  return made;
}

/** Whether the task is made from the target's template and is not older than the last restart. */
export function isOfTarget(task: TaskRecord["task"], input: ServiceInput): boolean {
  return task.template === input.target?.template && task.restartCount >= input.restartCount;
}

/** The service is a job, or one that nobody connects to and nobody restarts: it is good when it is done. */
export function runsToCompletion(spec: ServiceSpec): boolean {
  if (spec.mode === "job") return true;
  const serves =
    spec.probes.ready !== undefined ||
    spec.ports.length > 0 ||
    spec.expose.length > 0 ||
    spec.routes.length > 0 ||
    (spec.tcpRoutes ?? []).length > 0;
  return spec.restart.policy === "no" && !serves;
}

/** An end that is no reason to start again: a success of what need not run for ever. */
export function isCompletion(status: TaskStatus, spec: ServiceSpec): boolean {
  const mayEnd = spec.mode === "job" || spec.restart.policy !== "always";
  return status.outcome === "complete" && mayEnd;
}

/** An end after which the file forbids another start. */
export function isFailureForGood(status: TaskStatus, spec: ServiceSpec): boolean {
  if (status.outcome !== "failed") return false;
  const once = spec.mode === "job" || spec.restart.policy === "no";
  return once || spec.restart.maxAttempts !== undefined;
}

/**
 * An end that this rollout has to live with. A failure from before it began is no reason not to try again:
 * deploying once more is how people say that they have removed the cause.
 */
export function isSpent(record: TaskRecord, input: ServiceInput): boolean {
  const spec = input.target?.spec;
  const { status, task } = record;
  if (spec === undefined || status === undefined || !isFailureForGood(status, spec)) return false;
  return task.createdAt >= (input.pace.startedAt ?? 0);
}

/** Since when the task is ready without a break; absent when it is not. Wall time of its node. */
export function readySince(status: TaskStatus | undefined): number | undefined {
  if (status?.state !== "running" || !status.ready) return undefined;
  return status.readyAt ?? status.updatedAt;
}

/**
 * From when on the task counts: ready for the minimum healthy time. May lie in the future. A copy that a
 * person took out of service does not count, also before its agent has heard of it.
 */
export function healthyAt(record: TaskRecord, spec: ServiceSpec): number | undefined {
  if (runsToCompletion(spec) || record.task.paused !== undefined) return undefined;
  const since = readySince(record.status);
  return since === undefined ? undefined : since + spec.update.minHealthyMs;
}
