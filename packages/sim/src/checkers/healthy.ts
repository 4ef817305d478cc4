/**
 * A rollout never goes under its minimum of healthy copies. When the server stops a ready copy in order to replace
 * it, another ready one serves its place (start-first), or no more places than the update's `parallelism` are
 * without a ready copy (stop-first).
 *
 * The server sees the store a little late: what was ready a moment ago counts. Stops for other reasons (a smaller
 * number, a removal, a lost node) are no rollout's. Speaks at the commit that stops one too many.
 */

import { isFinal, keys, type Node, type ServiceSpec, type Task } from "@berth/protocol";
import type { StoreFacts } from "../store-facts.ts";
import type { Written } from "../store-journal.ts";
import { TaskGroups } from "../task-groups.ts";
import type { Checker, Scene, Speak } from "./checker.ts";

/** Why copies are stopped to make room for, or after, their replacement. */
const REPLACING = [
  /^the release has another template$/,
  /^a restart was asked for$/,
  /is being drained$/,
  /^replaced by a copy on /,
];
/** How far a server's picture may be behind: a watch that broke, with its pause. */
const LATE_MS = 5_000;

/** Stands for all nodes among the names of stacks. */
const NODES = "";

export function healthyChecker(): Checker {
  const ofService = new TaskGroups((task) => [serviceOf(task)]);
  /** When the tasks, not ready any more, were so last. Monotonic milliseconds. */
  const readyUntil = new Map<string, number>();
  /** When what is wanted of a stack or service changed last. */
  const changedAt = new Map<string, number>();
  return {
    name: "healthy",
    onWritten(written, scene, speak) {
      const { facts } = scene.cluster;
      ofService.follow(written, facts);
      for (const each of written) noteReady(each, readyUntil, scene.nowMs);
      for (const each of written) {
        const name = wantedOf(each);
        if (name !== undefined) changedAt.set(name, scene.nowMs);
      }
      const serves = (task: Task) => isServing(task, facts, readyUntil, scene.nowMs - LATE_MS);
      for (const each of written) {
        const stopped = replacedBy(each);
        if (stopped === undefined || !wasReady(stopped, facts)) continue;
        const isLate = (what: string) => scene.nowMs - (changedAt.get(what) ?? 0) < LATE_MS;
        const late = isLate(stopped.stack) || isLate(NODES);
        judge(
          stopped,
          { others: [...ofService.of(serviceOf(stopped))], serves, late },
          scene,
          speak,
        );
      }
    },
  };
}

interface Others {
  readonly others: readonly Task[];
  readonly serves: (task: Task) => boolean;
  /** What is wanted changed a moment ago: the server may act by what it was before. */
  readonly late: boolean;
}

function judge(stopped: Task, { others, serves, late }: Others, scene: Scene, speak: Speak): void {
  const { facts } = scene.cluster;
  const stack = facts.stack.get(keys.stack(stopped));
  const release = stack && facts.release.get(keys.release(stack, stack.release));
  const spec = release?.services[stopped.service]?.spec;
  // A service that the release has no more, and what runs to its end, has no minimum.
  if (spec === undefined || spec.mode === "job" || spec.restart.policy === "no") return;
  // A member follows its pod.
  if (stopped.podTask !== undefined) return;
  const served = new Set(others.filter(serves).map(placeOf));
  const name = `${stopped.stack}/${stopped.service}`;
  if (!isStopFirst(stopped, spec)) {
    const own = facts.releaseOf(stopped)?.services[stopped.service]?.spec;
    if (late && (own === undefined || isStopFirst(stopped, own))) return;
    if (!served.has(placeOf(stopped))) {
      speak(`${name}: ${placeOf(stopped)} lost its ready copy before another was ready`);
    }
    return;
  }
  const bearsFailures =
    spec.update.failureAction === "continue" || stack?.rollout?.from !== undefined;
  const { parallelism } = spec.update;
  if (late || parallelism === 0 || bearsFailures) return;
  const scale = facts.scale.get(keys.scale({ ...stopped, service: stopped.service }))?.value;
  const wanted = spec.mode === "global" ? nodesToServe(facts) : (scale ?? spec.copies);
  const missing = wanted - served.size;
  if (missing <= parallelism) return;
  speak(`${name}: ${missing} of ${wanted} copies are not ready, ${parallelism} may be`);
}

function isStopFirst(task: Task, spec: ServiceSpec): boolean {
  return task.exclusive || spec.update.order === "stop-first" || spec.podWith !== undefined;
}

/** Where a copy of a global service is wanted. */
function nodesToServe({ node }: StoreFacts): number {
  return node.values().filter(isServable).toArray().length;
}

function isServable({ availability, contact }: Node): boolean {
  return availability === "active" && contact === "up";
}

/** The task that a commit stops for a replacement. */
function replacedBy(written: Written): Task | undefined {
  if (written.kind !== "task") return undefined;
  const [now, before] = [written.now<Task>(), written.before<Task>()];
  if (now?.desired !== "stopped" || before?.desired !== "running") return undefined;
  const { stopReason = "", verdict } = now;
  return verdict === undefined && REPLACING.some((each) => each.test(stopReason)) ? now : undefined;
}

function noteReady(written: Written, readyUntil: Map<string, number>, nowMs: number): void {
  if (written.kind !== "status") return;
  const before = written.before<{ task: string; ready: boolean }>();
  const now = written.now<{ task: string; ready: boolean }>();
  if (before?.ready === true && now?.ready !== true) readyUntil.set(before.task, nowMs);
  if (now === undefined && before !== undefined) readyUntil.delete(before.task);
}

/** The stack whose wishes the change is about: its numbers and places may look different to the server yet. */
function wantedOf(written: Written): string | undefined {
  if (written.kind === "node") return NODES;
  if (written.kind !== "stack" && written.kind !== "scale") return undefined;
  const [now, before] = [written.now<Wished>(), written.before<Wished>()];
  const isSame =
    now?.release === before?.release &&
    JSON.stringify(now?.restarts) === JSON.stringify(before?.restarts) &&
    now?.value === before?.value;
  return isSame ? undefined : (now ?? before)?.stack;
}

interface Wished {
  readonly stack: string;
  readonly release?: number;
  readonly restarts?: unknown;
  readonly value?: number;
}

/** Ready, or so a moment ago, and wanted. */
function isServing(
  task: Task,
  facts: StoreFacts,
  readyUntil: ReadonlyMap<string, number>,
  sinceMs: number,
): boolean {
  if (task.desired !== "running" || task.verdict !== undefined) return false;
  const status = facts.statusOf(task.id);
  if (status?.ready === true) return true;
  return (readyUntil.get(task.id) ?? Number.NEGATIVE_INFINITY) >= sinceMs;
}

function wasReady(task: Task, facts: StoreFacts): boolean {
  const status = facts.statusOf(task.id);
  return status?.ready === true && !isFinal(status.state);
}

function serviceOf({ stack, service }: Task): string {
  return `${stack}/${service}`;
}

function placeOf({ service, slot }: Task): string {
  return `${service}.${slot}`;
}
