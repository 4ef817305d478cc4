/**
 * How far the word of a server counts. Pure.
 *
 * "Not in the list" ends a task only if the list comes from the store that made the task: same cluster,
 * same epoch, not older than what was seen. An empty, foreign or restored store never empties a node:
 *
 * - another cluster: nothing is believed; everything stays, and a person is told;
 * - another epoch, or an older revision in the same one (a store put back by hand): what it lists is
 *   followed; what it does not know stays running and is named to a person, unless the store gave its
 *   place (slot or exclusive volume) to another task; a person confirms the new epoch;
 * - else the list is the truth.
 */

import type { Assignment } from "@berth/protocol";
import type { ServerMemory } from "../state/agent-state.ts";
import { exclusiveVolumes } from "../state/volume-locks.ts";

export type Trust =
  | { readonly kind: "full" }
  | { readonly kind: "foreign"; readonly pinned: string; readonly told: string }
  | { readonly kind: "restored"; readonly reason: "epoch" | "revision" };

export interface Speaker {
  readonly cluster: string;
  readonly epoch: string;
  readonly revision: number;
}

/** `confirmedEpoch`: a person said that tasks which this epoch does not know may be stopped. */
export function trustIn(
  memory: ServerMemory,
  speaker: Speaker,
  confirmedEpoch: string | undefined,
): Trust {
  if (memory.cluster !== undefined && memory.cluster !== speaker.cluster) {
    return { kind: "foreign", pinned: memory.cluster, told: speaker.cluster };
  }
  if (speaker.epoch === confirmedEpoch) return { kind: "full" };
  if (memory.epoch !== undefined && memory.epoch !== speaker.epoch) {
    return { kind: "restored", reason: "epoch" };
  }
  if (memory.revision !== undefined && speaker.revision < memory.revision) {
    return { kind: "restored", reason: "revision" };
  }
  return { kind: "full" };
}

/**
 * Of the tasks that a restored store does not list, those whose place it gave to another: they go, since
 * two of them would run in one slot or on one volume.
 */
export function superseded(
  unknown: readonly Assignment[],
  listed: readonly Assignment[],
): ReadonlySet<string> {
  const wanted = listed.filter(({ task }) => task.desired === "running" && !task.verdict);
  const slots = new Set(wanted.map(({ task }) => slotOf(task)));
  const volumes = new Set(wanted.flatMap(({ task }) => exclusiveVolumes(task)));
  const ids = new Set<string>();
  for (const { task } of unknown) {
    const isTaken = exclusiveVolumes(task).some((engineName) => volumes.has(engineName));
    if (isTaken || slots.has(slotOf(task))) ids.add(task.id);
  }
  return ids;
}

function slotOf(task: Assignment["task"]): string {
  return `${task.project}/${task.environment}/${task.stack}/${task.service}/${task.slot}`;
}

/** `epoch:revision` of a watch's position. */
export function parsePosition(position: string): { epoch: string; revision: number } | undefined {
  const at = position.lastIndexOf(":");
  const digits = position.slice(at + 1);
  if (at <= 0 || !/^\d{1,15}$/.test(digits)) return undefined;
  return { epoch: position.slice(0, at), revision: Number(digits) };
}
