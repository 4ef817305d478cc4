/**
 * Why a service is, or is not, as it should be: the decisions that a controller would take now, in words.
 *
 * The same functions decide and explain, so an explanation cannot differ from what happens. Nothing is
 * remembered but since when; everything else is derived from the view.
 */

import { formatDuration } from "@berth/base";
import {
  ERRORS,
  type Explanation,
  keys,
  leavingWords,
  type ServiceScope,
  type Stack,
  stackKey,
  type Task,
  type TaskStatus,
  taskName,
  type Wait,
} from "@berth/protocol";
import type { InFlight } from "../plan/in-flight.ts";
import { makePlan } from "../plan/make-plan.ts";
import type { Identifiers } from "../plan/plan-context.ts";
import { reconcileStack } from "../reconcile/reconcile-stack.ts";
import type { ServiceInput, TaskRecord } from "../reconcile/service-input.ts";
import { mustLeave } from "../reconcile/task-class.ts";
import { exitWords, stateWords } from "../reconcile/waits.ts";
import { type Refusal, refuse } from "../release/refusal.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { certificateWaits } from "./certificate-waits.ts";
import { type ServiceStanding, standingsOf } from "./service-standing.ts";

export interface ExplainInput {
  readonly view: ClusterView;
  readonly now: number;
  readonly settings: ControlPlaneSettings;
  readonly inFlight: InFlight;
  /** What is waited for as of the last evaluation: tells since when. */
  readonly remembered: readonly Wait[];
  /** What the removal of the stack waits for. */
  readonly removal: readonly Wait[];
}

/** The explanation, or that there is no such service. */
export function explainService(
  input: ExplainInput,
  scope: ServiceScope,
): { readonly kind: "explained"; readonly explanation: Explanation } | Refusal {
  const { view, now } = input;
  const stack = view.stacks.get(keys.stack(scope));
  if (stack === undefined) return refuse("not_found", `there is no stack ${stackKey(scope)}`);
  const standings = standingsOf(view, stack.value, now);
  const standing = standings.find(({ service }) => service === scope.service);
  if (standing === undefined) {
    const services = standings.map(({ service }) => service);
    const message = `stack ${stackKey(scope)} has no service ${scope.service}`;
    return refuse("not_found", message, { services });
  }
  const release = view.releases.get(keys.release(stack.value, stack.value.release))?.value;
  const spec = release?.services[scope.service]?.spec;
  const found = [
    ...waitsNow(input, stack, scope.service),
    ...input.removal,
    ...certificateWaits(view, scope, spec, now),
  ];
  const waits = found.map((wait) => ({
    ...wait,
    since: sinceOf(wait, input.remembered) ?? wait.since ?? now,
  }));
  const explanation: Explanation = {
    service: scope.service,
    summary: summaryOf(standing, stack.value, waits, now),
    wanted: standing.wanted,
    ready: standing.ready + standing.completed,
    waits,
    tasks: listedTasks(standing.input.tasks).map((record) => taskLine(record, standing.input)),
    advice: adviceFor(standing, waits),
  };
  return { kind: "explained", explanation };
}

/** Identifiers of a plan that is never committed. */
function idleIdentifiers(): Identifiers {
  let count = 0;
  return {
    identifier: () => `explain${String(++count).padStart(6, "0")}`,
    networkId: () => String(++count).padStart(8, "0"),
    subnetEnd: () => 0,
    noteSubnetEnd: () => {},
  };
}

/** What a controller would find to wait for now. */
function waitsNow(input: ExplainInput, stack: Entity<Stack>, service: string): Wait[] {
  const { view, now, settings, inFlight } = input;
  const decision = reconcileStack(view, stack.value, now);
  const own = decision.services.find((each) => each.service === service);
  const release = view.releases.get(keys.release(stack.value, stack.value.release))?.value;
  if (own === undefined || release === undefined) return [];
  const ids = idleIdentifiers();
  const plan = makePlan(
    { view, stack, release, now, settings, ids, inFlight },
    decision.services,
    [],
  );
  return [...own.decision.waits, ...(plan.waits.get(service) ?? [])];
}

function sinceOf(wait: Wait, remembered: readonly Wait[]): number | undefined {
  return remembered.find(({ kind, slot }) => kind === wait.kind && slot === wait.slot)?.since;
}

function summaryOf(
  standing: ServiceStanding,
  stack: Stack,
  waits: readonly Wait[],
  now: number,
): string {
  const { wanted, ready, completed, state } = standing;
  const failure = stack.rollout?.failure;
  const failed =
    failure === undefined ? "" : `; release ${stack.rollout?.release} failed: ${failure.reason}`;
  if (state === "removing") {
    return `It is being removed${waits[0] === undefined ? "" : `: ${waits[0].message}`}.`;
  }
  if (state === "stopped") return "No copies are wanted.";
  if (state === "completed") return `${copies(completed)} ran to the end with code 0.`;
  const numbers = `${ready} of ${copies(wanted)} ready`;
  // Copies that wait for their turn wait for another wait.
  const first = waits.find(({ kind }) => kind !== "update") ?? waits[0];
  if (first === undefined) return `${numbers}${failed}.`;
  const since = first.since === undefined ? 0 : now - first.since;
  const time = since < 1_000 ? "" : ` (since ${formatDuration(since)})`;
  return `${numbers}: ${first.message}${time}${failed}.`;
}

function copies(count: number): string {
  return count === 1 ? "1 copy" : `${count} copies`;
}

/** The present copies, and of those that are gone only the last that failed: it tells why. */
function listedTasks(records: readonly TaskRecord[]): TaskRecord[] {
  const present = records
    .filter((record) => !isOver(record))
    .sort((a, b) => a.task.slot - b.task.slot || a.task.createdAt - b.task.createdAt);
  const [lastFailure] = records
    .filter((record) => isOver(record) && hasFailed(record))
    .sort((a, b) => b.task.createdAt - a.task.createdAt);
  return lastFailure === undefined ? present : [...present, lastFailure];
}

function isOver({ status }: TaskRecord): boolean {
  return status?.state === "ended" || status?.state === "removed";
}

function hasFailed({ status }: TaskRecord): boolean {
  if (status === undefined) return false;
  const { outcome, recentFailures } = status;
  return outcome === "failed" || outcome === "rejected" || recentFailures > 0;
}

function taskLine(record: TaskRecord, input: ServiceInput): Explanation["tasks"][number] {
  const { task, status } = record;
  const line = `release ${task.release}, ${standsWords(record, input)}`;
  const reasons = [
    ...staysReasons(record, input),
    ...pausedReasons(task),
    ...(task.verdict === undefined ? [] : [`given up: ${task.verdict.reason}`]),
    ...(status === undefined ? [] : troubleReasons(status)),
    ...(task.desired === "stopped" && task.stopReason !== undefined
      ? [`${isOver(record) ? "was stopped" : "is to stop"}: ${task.stopReason}`]
      : []),
  ];
  return { task: task.id, name: taskName(task), node: task.node, line, reasons };
}

function troubleReasons(status: TaskStatus): string[] {
  const { message, recentFailures } = status;
  const said = message === undefined ? [] : [message];
  if (recentFailures === 0) return said;
  const often = recentFailures === 1 ? "once" : `${recentFailures} times`;
  return [...said, `failed ${often} in ten minutes, last exited ${exitWords(status)}`];
}

function pausedReasons({ stack, paused, ...task }: Task): string[] {
  if (paused === undefined) return [];
  const why = paused.reason === undefined ? "" : `: ${paused.reason}`;
  const back = `back with: berth resume ${stack}/${taskName(task)}`;
  return [`out of service by ${paused.by}${why}; ${back}`];
}

/** A drained node keeps what cannot run elsewhere. */
function staysReasons({ task }: TaskRecord, input: ServiceInput): string[] {
  const standing = input.standing(task.node);
  if (!mustLeave(standing) || input.movable(task) || task.desired === "stopped") return [];
  const why = standing === "draining" ? "is being drained" : "has a taint that evicts it";
  return [`stays although ${task.node} ${why}: its volume lives there`];
}

function standsWords({ task, status }: TaskRecord, input: ServiceInput): string {
  if (status === undefined) return "not known to its node yet";
  const ago = (at: number) => formatDuration(Math.max(0, input.now - at));
  if (input.standing(task.node) === "down") return `${stateWords(status)} as far as is known`;
  if (status.leaving !== undefined) return leavingWords(status.leaving, input.now);
  if (status.ready && status.readyAt !== undefined) return `ready for ${ago(status.readyAt)}`;
  if (status.state !== "ended" && status.state !== "removed") return stateWords(status);
  const when = status.exitedAt === undefined ? "" : ` ${ago(status.exitedAt)} ago`;
  return status.exitCode === undefined
    ? `ended before it ran${when}`
    : `ended with code ${exitWords(status)}${when}`;
}

/** What would help, each said once. */
function adviceFor({ input, state }: ServiceStanding, waits: readonly Wait[]): string[] {
  const advice = new Set<string>();
  for (const { hints } of waits) for (const hint of hints ?? []) advice.add(`would fit if ${hint}`);
  for (const { status } of input.tasks) {
    const code = status?.code;
    if (status?.ready || code === undefined || !Object.hasOwn(ERRORS, code)) continue;
    advice.add(ERRORS[code as keyof typeof ERRORS].advice);
  }
  for (const { task } of state === "lost" ? input.tasks : []) {
    if (input.standing(task.node) !== "down" || task.verdict !== undefined) continue;
    advice.add(`it goes on when ${task.node} is in contact again: berth node ls`);
  }
  if (state === "failed") {
    const { stack, service } = input.scope;
    advice.add(`read its last lines: berth logs ${stack}/${service}`);
  }
  return [...advice];
}
