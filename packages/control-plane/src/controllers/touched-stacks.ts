/** Which stacks a change concerns: the evaluations that it causes. Pure; O(1) but for changes of nodes. */

import { isFinal, parseKey, type TaskStatus } from "@berth/protocol";
import type { Change } from "../state/cluster-state.ts";
import type { Held, HeldKind } from "../state/cluster-tables.ts";

/**
 * `own`: the stack of the key. `waiting`: every stack with a copy that has no place, because room, a
 * volume, an address or a part of a quota may have become free. `all`: what nodes there are has changed.
 */
export interface Touched {
  readonly own: string | undefined;
  readonly waiting: boolean;
  readonly all: boolean;
}

const OWN = new Set<HeldKind>(["stack", "release", "scale", "task", "status", "network", "volume"]);

export function touchedStacks(change: Change): Touched {
  const own = OWN.has(change.kind) ? stackOf(change.key) : operationStack(change);
  return { own, waiting: freesSomething(change), all: changesNodes(change) };
}

function stackOf(key: string): string | undefined {
  const parts = parseKey(key);
  const stack = parts?.name[0];
  if (parts === undefined || stack === undefined) return undefined;
  return `${parts.project}/${parts.environment}/${stack}`;
}

function operationStack(change: Change): string | undefined {
  if (change.kind !== "operation") return undefined;
  const operation = (change.entity ?? change.previous)?.value as Held["operation"] | undefined;
  if (operation === undefined) return undefined;
  return `${operation.project}/${operation.environment}/${operation.stack}`;
}

function freesSomething({ kind, entity, previous }: Change): boolean {
  if (kind === "status") {
    return entity === undefined || isFinal((entity.value as TaskStatus).state);
  }
  if (kind === "policy") return true;
  if (kind === "node-status" && entity !== undefined) return isUsedOtherwise(entity, previous);
  return entity === undefined && (kind === "task" || kind === "claim");
}

/** Less use may be room for who counts on it. */
function isUsedOtherwise(
  { value }: NonNullable<Change["entity"]>,
  previous: Change["previous"],
): boolean {
  const { use } = value as Held["node-status"];
  const before = previous?.value as Held["node-status"] | undefined;
  return JSON.stringify(use ?? {}) !== JSON.stringify(before?.use ?? {});
}

function changesNodes({ kind, entity, previous }: Change): boolean {
  if (kind === "node") return true;
  if (kind !== "node-status") return false;
  if (entity === undefined || previous === undefined) return true;
  return essence(entity.value) !== essence(previous.value);
}

/** What of a node's report bears on placement and ingress: not its clock, nor free bytes. */
function essence(value: Held[HeldKind]): string {
  const { capacity, reserved, platform, engine, diskPressure, devices, underlay } =
    value as Held["node-status"];
  const { reachable } = engine;
  const canSpan = underlay !== undefined;
  return JSON.stringify([capacity, reserved, platform, reachable, diskPressure, devices, canSpan]);
}
