/**
 * One service: which copies to start, which tasks to stop, and what is waited for.
 *
 * Invariants: at most one live task in a place when the service is exclusive or stop-first, at most two
 * otherwise, whatever happened before; an old copy of a start-first service ends only after its
 * replacement was healthy for the minimum time; at most `parallelism` places are under way in an update.
 * Pure and idempotent: when what it asks for was done, it asks for nothing. Cost: O(tasks × log tasks).
 *
 * Design page: docs/design/rollout.md.
 */

import type { Wait } from "@berth/protocol";
import { type PlaceTasks, sortIntoPlaces } from "./place-tasks.ts";
import {
  isStopFirst,
  type PlaceDecision,
  reconcilePlace,
  startIn,
  stopOf,
} from "./reconcile-place.ts";
import type { ServiceDecision, ServiceInput, Start, Stop } from "./service-input.ts";
import { healthyAt, readySince } from "./task-class.ts";

interface Decided {
  readonly tasks: PlaceTasks;
  readonly decision: PlaceDecision;
}

/** What the service needs now. */
export function reconcileService(input: ServiceInput): ServiceDecision {
  const { places, surplus } = sortIntoPlaces(input);
  const decided = places.map((tasks) => ({ tasks, decision: reconcilePlace(tasks, input) }));
  const updates = updatesNow(decided, input);
  const surplusStops = surplus
    .filter(({ task }) => task.desired === "running")
    .map((record) => stopOf(record, input.placesReason, input));
  const looks = [...decided.map(({ decision }) => decision.nextLookAtMs), updates.nextLookAtMs];
  const nextLookAtMs = earliest(looks);
  return {
    starts: [...decided.flatMap(({ decision }) => decision.start ?? []), ...updates.starts],
    stops: [
      ...surplusStops,
      ...decided.flatMap(({ decision }) => decision.stops),
      ...updates.stops,
    ],
    waits: [
      ...input.holds,
      ...uniqueWaits(decided.flatMap(({ decision }) => decision.waits)),
      ...updates.waits,
    ],
    blockedBy: decided.flatMap(({ decision }) => decision.blockedBy ?? []),
    places: decided.map(({ tasks, decision }) => ({
      place: tasks.place,
      state: decision.state,
      record: decision.record,
    })),
    ...(nextLookAtMs === undefined ? {} : { nextLookAtMs }),
  };
}

interface Updates {
  readonly starts: readonly Start[];
  readonly stops: readonly Stop[];
  readonly waits: readonly Wait[];
  readonly nextLookAtMs?: number;
}

const NO_UPDATES: Updates = { starts: [], stops: [], waits: [] };

/** Which of the places with an old copy are taken on now. */
function updatesNow(decided: readonly Decided[], input: ServiceInput): Updates {
  const candidates = decided.filter(({ decision }) => decision.update).sort(worstFirst);
  const update = input.target?.spec.update;
  if (candidates.length === 0 || update === undefined || input.pace.frozen) return NO_UPDATES;
  const underWay = decided.filter((each) => isUnderWay(each, input)).length;
  const parallelism = update.parallelism === 0 ? Number.POSITIVE_INFINITY : update.parallelism;
  const room = Math.max(0, parallelism - underWay);
  const pauseUntil = pauseEnd(decided, input);
  if (pauseUntil > input.now && room > 0) {
    const message = `${waitingCopies(candidates.length)} for the pause between batches`;
    const waits = [{ kind: "pause", message, until: pauseUntil }];
    return { ...NO_UPDATES, waits, nextLookAtMs: pauseUntil };
  }
  const taken = candidates.slice(0, room);
  const left = candidates.length - taken.length;
  const waits =
    left === 0 ? [] : [{ kind: "update", message: `${waitingCopies(left)} for a turn` }];
  if (isStopFirst(input))
    return { starts: [], stops: taken.flatMap((each) => stopOld(each, input)), waits };
  return { starts: taken.map((each) => startBeside(each, input)), stops: [], waits };
}

function waitingCopies(count: number): string {
  return count === 1 ? "1 copy waits" : `${count} copies wait`;
}

function startBeside({ tasks }: Decided, input: ServiceInput): Start {
  return startIn(tasks, input, updateReason(tasks, input));
}

function stopOld({ tasks }: Decided, input: ServiceInput): Stop[] {
  return tasks.old.map((record) => stopOf(record, updateReason(tasks, input), input));
}

function updateReason(tasks: PlaceTasks, input: ServiceInput): string {
  const [old] = tasks.old;
  if (old === undefined) return "a copy is wanted";
  if (old.task.template !== input.target?.template) return "the release has another template";
  if (old.task.restartCount < input.restartCount) return "a restart was asked for";
  return input.standing(old.task.node) === "evicting"
    ? `${old.task.node} has a taint that evicts it`
    : `${old.task.node} is being drained`;
}

/**
 * A place whose copy is between old and healthy. Places that never had an old copy count too: while copies
 * are missing, no further healthy ones are put at risk.
 */
function isUnderWay({ tasks, decision }: Decided, input: ServiceInput): boolean {
  const update = input.target?.spec.update;
  const carryOn = update?.failureAction === "continue" || (update?.maxFailureRatio ?? 0) > 0;
  if (decision.state === "failed") return !carryOn;
  if (decision.state === "coming") {
    const failures = tasks.current[0]?.status?.recentFailures ?? 0;
    return !(carryOn && failures > 0);
  }
  // An old copy that leaves while its place is empty shows as waiting.
  return decision.state === "waiting" || decision.state === "ready";
}

/** Copies that are not ready go first: replacing them can only help. Then in order of slot. */
function worstFirst(a: Decided, b: Decided): number {
  const isReady = ({ tasks }: Decided) => Number(readySince(tasks.old[0]?.status) !== undefined);
  return isReady(a) - isReady(b) || a.tasks.place.slot - b.tasks.place.slot;
}

/** Until when the pause after the last healthy copy of this rollout lasts. */
function pauseEnd(decided: readonly Decided[], input: ServiceInput): number {
  const spec = input.target?.spec;
  if (spec === undefined || spec.update.delayMs === 0) return 0;
  let last = Number.NEGATIVE_INFINITY;
  for (const { tasks } of decided) {
    const [record] = tasks.current;
    if (record === undefined || record.task.createdAt < (input.pace.startedAt ?? 0)) continue;
    last = Math.max(last, healthyAt(record, spec) ?? Number.NEGATIVE_INFINITY);
  }
  return last + spec.update.delayMs;
}

/** More waits of one service than these tell a reader nothing new. */
const WAITS_MAX = 100;

/** The same dependency holds back every place: it is said once. */
function uniqueWaits(waits: readonly Wait[]): Wait[] {
  const unique = new Map(waits.map((wait) => [wait.message, wait]));
  return [...unique.values()].slice(0, WAITS_MAX);
}

export function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
