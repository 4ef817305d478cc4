/**
 * One place of a service: what is the case there and what is to be done, by an ordered table. The first
 * rule that holds decides. Replacing an old copy is only proposed here (`update`): how many places may be
 * under way at once is the service's business.
 */

import { backoffMs, SECOND_MS } from "@berth/base";
import type { Task, Wait } from "@berth/protocol";
import type { PlaceTasks } from "./place-tasks.ts";
import type { PlaceState, ServiceInput, Start, Stop, TaskRecord } from "./service-input.ts";
import { healthyAt, isCompletion, isOfTarget, isSpent, runsToCompletion } from "./task-class.ts";
import {
  backoffWait,
  comingWait,
  failedWait,
  lostWait,
  minimumHealthyWait,
  pausedWait,
  placeName,
  predecessorWait,
} from "./waits.ts";

export interface PlaceDecision {
  readonly state: PlaceState;
  readonly record: TaskRecord | undefined;
  readonly start?: Start;
  readonly stops: readonly Stop[];
  readonly waits: readonly Wait[];
  /** Tasks of others that stand in the way. */
  readonly blockedBy?: readonly Task[];
  /** The old copy could be replaced now, if the update rules allow it. */
  readonly update?: true;
  readonly nextLookAtMs?: number;
}

interface PlaceRule {
  readonly says: string;
  readonly decide: (tasks: PlaceTasks, input: ServiceInput) => PlaceDecision | undefined;
}

const RULES: readonly PlaceRule[] = [
  { says: "a copy of the target lives: the old ones go once it is healthy", decide: withCurrent },
  { says: "it ran to its end and is done", decide: completed },
  { says: "an old copy runs: it may be replaced", decide: withOld },
  { says: "it failed and the file forbids another start", decide: failedForGood },
  { says: "the lost copy may still run, and only one may", decide: lostExclusive },
  { says: "the predecessor has not stopped yet", decide: predecessorLives },
  { says: "it failed a moment ago", decide: backsOff },
  { says: "something else must come first", decide: gated },
];

/** What to do in one place. When no rule holds, nothing runs and nothing speaks against a start. */
export function reconcilePlace(tasks: PlaceTasks, input: ServiceInput): PlaceDecision {
  for (const rule of RULES) {
    const decision = rule.decide(tasks, input);
    if (decision !== undefined) return decision;
  }
  return start(tasks, input);
}

function withCurrent(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  const [record, ...doubled] = tasks.current;
  const spec = input.target?.spec;
  if (record === undefined || spec === undefined) return undefined;
  const twice = doubled.map((each) => stopOf(each, "another copy has its place", input));
  const from = healthyAt(record, spec);
  if (from === undefined) {
    // Together with an old copy only if the rules are start-first; then the old one stays until it is.
    const stops = isStopFirst(input) ? tasks.old.map((each) => replaced(each, record, input)) : [];
    const { paused } = record.task;
    const wait = paused === undefined ? undefined : pausedWait(record.task, paused);
    const waits = [wait ?? comingWait(record, runsToCompletion(spec))];
    return { state: "coming", record, stops: [...twice, ...stops], waits };
  }
  if (from > input.now) {
    const waits = [minimumHealthyWait(record.task, from, spec.update.minHealthyMs)];
    return { state: "ready", record, stops: twice, waits, nextLookAtMs: from };
  }
  // The other members of the pod report their own waits.
  if (!input.podHealthy(record.task)) return { state: "ready", record, stops: twice, waits: [] };
  const stops = [...tasks.old, ...tasks.lost].map((each) => replaced(each, record, input));
  return { state: "settled", record, stops: [...twice, ...stops], waits: [] };
}

function completed(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  const spec = input.target?.spec;
  const record = tasks.endedOfTarget.find(
    ({ status }) => spec !== undefined && status !== undefined && isCompletion(status, spec),
  );
  if (record === undefined) return undefined;
  const stops = tasks.old.map((each) => replaced(each, record, input));
  return { state: "completed", record, stops, waits: [] };
}

function withOld(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  const [record, ...doubled] = tasks.old;
  if (record === undefined) return undefined;
  // An update that was overtaken by the next leaves two: the better one stays until it is replaced.
  const stops = doubled.map((each) => stopOf(each, "another copy has its place", input));
  const decision = { state: "old", record, stops, waits: [] } as const;
  if (stops.length > 0) return decision;
  const failed = failedForGood(tasks, input);
  if (failed !== undefined) return { ...decision, waits: failed.waits };
  const crowded = isStopFirst(input) ? undefined : predecessorLives(tasks, input);
  const before = crowded ?? backsOff(tasks, input) ?? gated(tasks, input);
  if (before === undefined) return { ...decision, update: true };
  const { waits, nextLookAtMs } = before;
  return { ...decision, waits, ...(nextLookAtMs === undefined ? {} : { nextLookAtMs }) };
}

function failedForGood(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  const [record] = tasks.endedOfTarget;
  if (record?.status === undefined || !isSpent(record, input)) return undefined;
  return { state: "failed", record, stops: [], waits: [failedWait(record, record.status)] };
}

function lostExclusive(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  const record = tasks.lost.find(
    ({ task }) => mayLive(task, input) || !input.movable(task) || tasks.place.node === task.node,
  );
  if (record === undefined) return undefined;
  return {
    state: "waiting",
    record,
    stops: [],
    waits: [lostWait(record, input.movable(record.task))],
  };
}

function predecessorLives(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  const blocking = tasks.leaving.filter(
    ({ task }) => mayLive(task, input) || input.standing(task.node) !== "down",
  );
  const liveMax = isStopFirst(input) ? 1 : 2;
  const [record] = blocking;
  if (record === undefined || blocking.length + tasks.old.length < liveMax) return undefined;
  return { state: "waiting", record, stops: [], waits: [predecessorWait(record)] };
}

/** Between tries of a copy that never ran: soon at first, and once a minute in the end. */
const RETRY_BACKOFF = { initialMs: SECOND_MS, maxMs: 60 * SECOND_MS } as const;

function backsOff(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  const failures = tasks.endedOfTarget.filter(({ status }) => status?.outcome !== "stopped");
  const [record] = failures;
  if (record?.status === undefined) return undefined;
  const ended = record.status.exitedAt ?? record.status.updatedAt;
  const until = ended + backoffMs(failures.length, RETRY_BACKOFF);
  if (until <= input.now) return undefined;
  const name = placeName(input.scope.service, tasks.place);
  const waits = [backoffWait(name, tasks.place.slot, until, record.status)];
  return { state: "waiting", record, stops: [], waits, nextLookAtMs: until };
}

function gated(tasks: PlaceTasks, input: ServiceInput): PlaceDecision | undefined {
  // Only who could start asks others to make way.
  const blockers = input.gate.length > 0 ? [] : input.blockers(tasks.place);
  const waits = [...input.gate, ...blockers.map(({ wait }) => wait)];
  if (waits.length === 0) return undefined;
  const blockedBy = blockers.map(({ task }) => task);
  return { state: "waiting", record: tasks.newest, stops: [], waits, blockedBy };
}

function start(tasks: PlaceTasks, input: ServiceInput): PlaceDecision {
  const starting = startIn(tasks, input, startReason(tasks, input));
  return { state: "waiting", record: tasks.newest, start: starting, stops: [], waits: [] };
}

function startReason({ lost: [lost], newest }: PlaceTasks, input: ServiceInput): string {
  if (lost !== undefined) return `replaces the copy that is lost with ${lost.task.node}`;
  if (newest === undefined) return "a copy is wanted";
  return isOfTarget(newest.task, input) ? "the copy has ended" : "the old copy has ended";
}

/** The start of a copy in a place. */
export function startIn(tasks: PlaceTasks, input: ServiceInput, reason: string): Start {
  const failed = tasks.endedOfTarget.filter(({ status }) => status?.outcome !== "stopped");
  return {
    place: tasks.place,
    reason,
    previousNode: tasks.newest?.task.node,
    failedNodes: [...new Set(failed.map(({ task }) => task.node))].sort(),
    givesUp: [
      ...tasks.lost.filter(({ task }) => !mayLive(task, input) && input.movable(task)),
      // Asked to stop on a node that cannot hear it: counts as gone from here on, for good.
      ...tasks.leaving.filter(
        ({ task }) => !mayLive(task, input) && input.standing(task.node) === "down",
      ),
    ],
  };
}

/** Of a task on a node that is lost: another may not run as long as this one may. */
function mayLive(task: Task, input: ServiceInput): boolean {
  return task.exclusive && !input.fenced(task);
}

/** The stop of a task; on a lost node a free one is given up, since nobody will confirm its end. */
export function stopOf(record: TaskRecord, reason: string, input: ServiceInput): Stop {
  const giveUp = input.standing(record.task.node) === "down" && !mayLive(record.task, input);
  return { record, reason, giveUp };
}

function replaced(record: TaskRecord, by: TaskRecord, input: ServiceInput): Stop {
  return stopOf(record, `replaced by a copy on ${by.task.node}`, input);
}

/** The old copy ends before the new one begins. */
export function isStopFirst(input: ServiceInput): boolean {
  const spec = input.target?.spec;
  // Members of a pod share a network namespace: two copies of one could not listen on the same port.
  const inPod = spec?.podWith !== undefined;
  const once = spec !== undefined && runsToCompletion(spec);
  return input.exclusive || inPod || once || spec?.update.order === "stop-first";
}
