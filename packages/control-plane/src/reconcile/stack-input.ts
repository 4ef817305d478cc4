/**
 * From the cluster's state to the inputs of the services of one stack.
 *
 * This is the only part of reconciliation that reads the view; everything after it is a function of what
 * is put together here. Cost: O(services + tasks of the stack + nodes for global services).
 */

import {
  keys,
  type Release,
  type ReleaseService,
  runsOnEveryNode,
  type ServiceScope,
  type ServiceSpec,
  type Stack,
  serviceKey,
  stackKey,
  type Wait,
} from "@berth/protocol";
import { evictingTaint } from "../plan/node-model.ts";
import { exclusiveReason } from "../release/exclusive.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { eligibleNodes } from "./eligible-nodes.ts";
import { fencedBy, isMovable } from "./fenced.ts";
import { sortIntoPlaces } from "./place-tasks.ts";
import { resourceBlockers } from "./resource-waits.ts";
import type { NodeStanding, Pace, Place, ServiceInput, TaskRecord } from "./service-input.ts";
import { withoutHeld } from "./volume-holds.ts";

/** Rollouts that are over: nothing is held back or counted any more. */
const OVER = new Set(["complete", "rolled-back"]);

export interface StackContext {
  readonly view: ClusterView;
  readonly stack: Stack;
  /** The release that the services move to or are at; absent when it is not there (or all must go). */
  readonly release: Release | undefined;
  readonly now: number;
  readonly pace: Pace;
}

/** What the stack's services are decided by. */
export function stackContext(view: ClusterView, stack: Stack, now: number): StackContext {
  const { rollout } = stack;
  const removing = stack.deleting !== undefined;
  const release = removing
    ? undefined
    : view.releases.get(keys.release(stack, stack.release))?.value;
  const pace: Pace = {
    frozen: rollout?.state === "paused",
    hurry: rollout?.state === "rolling-back",
    startedAt: isUnderWay(stack) ? rollout?.startedAt : undefined,
  };
  return { view, stack, release, now, pace };
}

/** A rollout is going on, or has ended without success. */
export function isUnderWay(stack: Stack): boolean {
  return stack.rollout !== undefined && !OVER.has(stack.rollout.state);
}

/** Names of the services to look at: those of the release, and those that still have tasks. Sorted. */
export function serviceNames({ view, stack, release }: StackContext): string[] {
  const names = new Set(Object.keys(release?.services ?? {}));
  for (const { value } of view.tasks.by("stack", stackKey(stack))) names.add(value.service);
  return [...names].sort();
}

/** The input of a service that is no member of another's pod; its gate is left open. */
export function inputOf(context: StackContext, service: string): ServiceInput {
  const { stack, release } = context;
  const scope = { ...scopeOf(stack), service };
  const target = release?.services[service];
  const { places, reason, waits } = unheld(
    context,
    scope,
    target,
    placesOf(context, scope, target),
  );
  const isGlobal = target !== undefined && runsOnEveryNode(target.spec);
  return {
    ...sharedInput(context, scope, target),
    places,
    placesReason: reason,
    holds: waits,
    placeKeyOf: isGlobal ? (task) => nodePlace(task.node) : (task) => slotPlace(task.slot),
    follows: () => false,
  };
}

/** The input of a service that lives in the pods of `holder`. */
export function memberInput(
  context: StackContext,
  service: string,
  holder: { readonly name: string; readonly input: ServiceInput },
): ServiceInput {
  const scope = { ...scopeOf(context.stack), service };
  const target = context.release?.services[service];
  const sorted = sortIntoPlaces(holder.input);
  const inPods = sorted.places.flatMap(({ place, current }): Place[] => {
    const task = current[0]?.task;
    if (task === undefined) return [];
    const pod = { holder: holder.name, task: task.id };
    return [{ key: podPlace(task.id), slot: place.slot, node: task.node, pod }];
  });
  const living = new Set(
    holder.input.tasks
      .filter(({ task, status }) => task.desired === "running" && !isEnded(status))
      .map(({ task }) => task.id),
  );
  const wanted = { places: inPods, reason: `its pod's ${holder.name} is going or gone` };
  const { places, reason, waits } = unheld(context, scope, target, wanted);
  const free = new Set(places.map(({ key }) => key));
  const isHeldBack = (task: string) =>
    inPods.some(({ key }) => key === podPlace(task)) && !free.has(podPlace(task));
  return {
    ...sharedInput(context, scope, target),
    places,
    holds: waits,
    placesReason: reason,
    placeKeyOf: (task) => podPlace(task.podTask ?? task.id),
    follows: ({ podTask }) => podTask !== undefined && living.has(podTask) && !isHeldBack(podTask),
  };
}

/**
 * What the target is while a failed rollout goes back: `rollback_config` counts instead of the update's rules.
 * Single failures do not stop it unless the file says so.
 */
function atPace(target: ReleaseService, pace: Pace): ReleaseService {
  if (!pace.hurry) return target;
  const { update, rollback = {} } = target.spec;
  const failureAction = rollback.failureAction ?? "continue";
  const spec = { ...target.spec, update: { ...update, delayMs: 0, ...rollback, failureAction } };
  return { ...target, spec };
}

function isEnded(status: TaskRecord["status"]): boolean {
  return status?.state === "ended" || status?.state === "removed";
}

function sharedInput(
  context: StackContext,
  scope: ServiceScope,
  target: ReleaseService | undefined,
): Omit<ServiceInput, "places" | "placesReason" | "holds" | "placeKeyOf" | "follows"> {
  const { view, stack, release, now, pace } = context;
  return {
    scope,
    now,
    target: target === undefined ? undefined : atPace(target, pace),
    restartCount: stack.restarts[scope.service] ?? 0,
    tasks: taskRecords(view, scope),
    standing: (node) => standingOf(context, node, target?.spec.tolerations),
    exclusive: release !== undefined && exclusiveReason(release, scope.service) !== undefined,
    movable: (task) => isMovable(view, task),
    fenced: (task) => fencedBy(view.nodes.get(keys.node(task.node))?.value, task) !== undefined,
    gate: [],
    blockers: (place) =>
      release === undefined ? [] : resourceBlockers(view, release, scope, place),
    podHealthy: () => true,
    pace,
  };
}

export function scopeOf(stack: Stack) {
  return { project: stack.project, environment: stack.environment, stack: stack.stack };
}

/** Tasks of a service with their statuses, in order of key. */
function taskRecords(view: ClusterView, scope: ServiceScope): TaskRecord[] {
  return view.tasks.by("service", serviceKey(scope)).map(({ key, revision, value: task }) => {
    const status = statusOf(view, task.id);
    return { key, revision, task, status };
  });
}

function standingOf(
  { view }: StackContext,
  name: string,
  tolerations: ServiceSpec["tolerations"],
): NodeStanding {
  const node = view.nodes.get(keys.node(name))?.value;
  if (node === undefined) return "down";
  if (node.contact === "down") {
    // A word that this very host is dead counts more than that many are silent.
    const isPaused = node.evictionPausedUntil !== undefined && node.fence?.state !== "done";
    return isPaused ? "suspended" : "down";
  }
  if (node.availability === "draining") return "draining";
  return evictingTaint(node, tolerations) === undefined ? "up" : "evicting";
}

function placesOf(
  context: StackContext,
  scope: ServiceScope,
  target: ReleaseService | undefined,
): { readonly places: readonly Place[]; readonly reason: string } {
  const { view, stack } = context;
  if (stack.deleting !== undefined) return { places: [], reason: "the stack is being removed" };
  if (target === undefined) {
    return { places: [], reason: `the service is not in release ${stack.release}` };
  }
  if (runsOnEveryNode(target.spec)) {
    const reason = "no copy is wanted on its node any more";
    return { places: globalPlaces(context, scope, target), reason };
  }
  const copies = view.scales.get(keys.scale(scope))?.value.value ?? target.spec.copies;
  const places = Array.from({ length: copies }, (_, index): Place => {
    const slot = index + 1;
    return { key: slotPlace(slot), slot };
  });
  return { places, reason: `scaled to ${copies}` };
}

/** Places whose volumes may be used. While one may not, its copies are stopped and none is wanted. */
function unheld(
  { view, release }: StackContext,
  scope: ServiceScope,
  target: ReleaseService | undefined,
  wanted: { readonly places: readonly Place[]; readonly reason: string },
): { readonly places: readonly Place[]; readonly reason: string; readonly waits: readonly Wait[] } {
  if (release === undefined || target === undefined) return { ...wanted, waits: [] };
  const { free, waits } = withoutHeld(view, release, scope, target, wanted.places);
  const [first] = waits;
  if (first === undefined) return { ...wanted, waits };
  return { places: free, reason: first.message, waits };
}

/** One place a node. Slots only name the copies: a node keeps its number, a new one gets the least free. */
function globalPlaces(
  { view }: StackContext,
  scope: ServiceScope,
  { spec }: ReleaseService,
): Place[] {
  const slots = new Map<string, number>();
  const wanted = new Set<string>();
  for (const { value } of view.tasks.by("service", serviceKey(scope))) {
    slots.set(value.node, value.slot);
    if (value.desired === "running") wanted.add(value.node);
  }
  const used = new Set(slots.values());
  let next = 1;
  return eligibleNodes(view, spec, (node) => wanted.has(node)).map((node) => {
    let slot = slots.get(node);
    if (slot === undefined) {
      while (used.has(next)) next++;
      slot = next;
      used.add(slot);
    }
    return { key: nodePlace(node), slot, node };
  });
}

function slotPlace(slot: number): string {
  return `slot-${slot}`;
}
function nodePlace(node: string): string {
  return `node-${node}`;
}
function podPlace(task: string): string {
  return `pod-${task}`;
}
