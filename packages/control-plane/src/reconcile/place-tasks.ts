/** The tasks of each place by what they are to the service: the ground on which places are decided. */

import { comparePositions } from "@berth/protocol";
import type { Place, ServiceInput, TaskRecord } from "./service-input.ts";
import { classify, isOfTarget, readySince, type TaskClass } from "./task-class.ts";

/** Tasks of one place. Each list is ordered, best first. */
export interface PlaceTasks {
  readonly place: Place;
  readonly current: readonly TaskRecord[];
  /** Live and to be replaced: outdated, or on a node that is drained. */
  readonly old: readonly TaskRecord[];
  readonly leaving: readonly TaskRecord[];
  readonly lost: readonly TaskRecord[];
  /** Ended tasks of the target, the newest first. */
  readonly endedOfTarget: readonly TaskRecord[];
  /** The newest task of the place that there was, whatever became of it. */
  readonly newest: TaskRecord | undefined;
}

export interface ServiceTasks {
  readonly places: readonly PlaceTasks[];
  readonly surplus: readonly TaskRecord[];
}

/** Sorts the service's tasks into places and classes. Cost: O(tasks × log tasks + places). */
export function sortIntoPlaces(input: ServiceInput): ServiceTasks {
  const byPlace = new Map<string, Map<TaskClass, TaskRecord[]>>();
  const surplus: TaskRecord[] = [];
  for (const record of [...input.tasks].sort(betterFirst)) {
    const kind = classify(record, input);
    if (kind === "surplus") surplus.push(record);
    const key = input.placeKeyOf(record.task);
    const classes = byPlace.get(key) ?? new Map<TaskClass, TaskRecord[]>();
    byPlace.set(key, classes);
    const list = classes.get(kind) ?? [];
    classes.set(kind, list);
    list.push(record);
  }
  const places = input.places.map((place) => tasksOf(place, byPlace.get(place.key), input));
  return { places, surplus };
}

function tasksOf(
  place: Place,
  classes: ReadonlyMap<TaskClass, readonly TaskRecord[]> | undefined,
  input: ServiceInput,
): PlaceTasks {
  const of = (kind: TaskClass) => classes?.get(kind) ?? [];
  const ended = [...of("over")].sort(newestFirst);
  return {
    place,
    current: of("current"),
    old: [...of("outdated"), ...of("must-move")].sort(betterFirst),
    leaving: of("leaving"),
    lost: of("lost"),
    endedOfTarget: ended.filter(({ task }) => isOfTarget(task, input)),
    newest: [...(classes?.values() ?? [])].flat().sort(newestFirst)[0],
  };
}

/** Ready ones first, then those that got furthest, then the oldest: the ones to keep. */
function betterFirst(a: TaskRecord, b: TaskRecord): number {
  const ready =
    Number(readySince(b.status) !== undefined) - Number(readySince(a.status) !== undefined);
  if (ready !== 0) return ready;
  if (a.status !== undefined && b.status !== undefined) {
    const further = comparePositions(b.status, a.status);
    if (further !== 0) return further;
  } else if (a.status !== b.status) return a.status === undefined ? 1 : -1;
  return a.task.createdAt - b.task.createdAt || (a.task.id < b.task.id ? -1 : 1);
}

function newestFirst(a: TaskRecord, b: TaskRecord): number {
  return b.task.createdAt - a.task.createdAt || (a.task.id < b.task.id ? 1 : -1);
}
