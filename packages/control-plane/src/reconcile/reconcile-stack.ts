/**
 * One stack: the decisions of all its services and what they make of its rollout.
 *
 * Services are decided in an order in which what one needs of another is known: first how far each is
 * (for `depends_on`), then those on their own, then the members of their pods. No decision sees the
 * effects of another of the same round but one: a pod's members start together with their holder.
 * Pure; cost: O(tasks of the stack × log).
 *
 * Design page: docs/design/rollout.md.
 */

import { keys, type ServiceSpec, type Stack } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { dependencyWaits, factsOf, type ServiceFacts } from "./dependencies.ts";
import { stopOf } from "./reconcile-place.ts";
import { reconcileRollout, type ServiceProgress } from "./reconcile-rollout.ts";
import { earliest, reconcileService } from "./reconcile-service.ts";
import type { Place, ServiceDecision, ServiceInput } from "./service-input.ts";
import {
  inputOf,
  isUnderWay,
  memberInput,
  type StackContext,
  serviceNames,
  stackContext,
} from "./stack-input.ts";
import { classify, healthyAt, isCompletion } from "./task-class.ts";

/** A service with what it was decided by and what was decided. */
export interface DecidedService {
  readonly service: string;
  readonly input: ServiceInput;
  readonly decision: ServiceDecision;
}

export interface StackDecision {
  readonly services: readonly DecidedService[];
  /** What the stack shall be; absent when nothing changes. */
  readonly stack?: Stack;
  readonly nextLookAtMs?: number;
}

/** What a stack that is not being removed needs now. */
export function reconcileStack(view: ClusterView, stack: Stack, now: number): StackDecision {
  const context = stackContext(view, stack, now);
  const services = decideServices(context, stackInputs(context));
  const good =
    stack.goodRelease === undefined
      ? undefined
      : view.releases.get(keys.release(stack, stack.goodRelease))?.value;
  const progress = services.map(
    (each): ServiceProgress => ({
      ...each,
      goodTemplate: good?.services[each.service]?.template,
    }),
  );
  const rollout = reconcileRollout(stack, progress, now, good);
  const nextLookAtMs = earliest([
    rollout.nextLookAtMs,
    ...services.map(({ decision }) => decision.nextLookAtMs),
  ]);
  return {
    services,
    ...(rollout.stack === undefined ? {} : { stack: rollout.stack }),
    ...(nextLookAtMs === undefined ? {} : { nextLookAtMs }),
  };
}

/** Inputs by service, gates open. */
export function stackInputs(context: StackContext): Map<string, ServiceInput> {
  const inputs = new Map<string, ServiceInput>();
  const members: { readonly name: string; readonly holder: string }[] = [];
  for (const name of serviceNames(context)) {
    const holder = holderOf(context, name);
    if (holder === undefined) inputs.set(name, inputOf(context, name));
    else members.push({ name, holder });
  }
  for (const { name, holder } of members) {
    const input = inputs.get(holder);
    inputs.set(
      name,
      input === undefined
        ? inputOf(context, name)
        : memberInput(context, name, { name: holder, input }),
    );
  }
  return inputs;
}

/** The service that holds the pod in which `service` lives, by the release or by tasks that are left. */
function holderOf({ release }: StackContext, service: string): string | undefined {
  const holder = release?.services[service]?.spec.podWith;
  return holder !== undefined && release?.services[holder] !== undefined ? holder : undefined;
}

/** Decisions for all services; members of pods come after their holders. */
function decideServices(
  context: StackContext,
  inputs: ReadonlyMap<string, ServiceInput>,
): DecidedService[] {
  const gated = gatedInputs(context, inputs);
  const decided = new Map<string, DecidedService>();
  const members: [string, ServiceInput, string][] = [];
  for (const [service, input] of gated) {
    const holder = holderOf(context, service);
    if (holder !== undefined) {
      members.push([service, input, holder]);
      continue;
    }
    const whole = { ...input, podHealthy: podHealthOf(service, gated) };
    decided.set(service, { service, input: whole, decision: reconcileService(whole) });
  }
  for (const [service, input, holder] of members) {
    const joined = withStartingPods(input, holder, decided.get(holder)?.decision);
    decided.set(service, { service, input: joined, decision: reconcileService(joined) });
  }
  return makeWay([...decided.values()]);
}

/**
 * A task that is to be replaced anyway stops early when it holds what another service of the stack needs to
 * go on: a job that prepares a volume, before the service on it is updated, would wait for ever otherwise.
 */
function makeWay(decided: readonly DecidedService[]): DecidedService[] {
  const blocking = new Set(
    decided.flatMap(({ decision }) => decision.blockedBy.map(({ id }) => id)),
  );
  if (blocking.size === 0) return [...decided];
  return decided.map((each): DecidedService => {
    const { input, decision } = each;
    const asked = new Set(decision.stops.map(({ record }) => record.task.id));
    const early = input.tasks.filter(
      (record) =>
        blocking.has(record.task.id) &&
        !asked.has(record.task.id) &&
        !input.pace.frozen &&
        classify(record, input) === "outdated",
    );
    const reason = "it is to be replaced and makes way for what must come first";
    const stops = [...decision.stops, ...early.map((record) => stopOf(record, reason, input))];
    return { ...each, decision: { ...decision, stops } };
  });
}

/** Outside of a rollout nothing waits for dependencies, but for those with which it is restarted. */
function gatedInputs(
  context: StackContext,
  inputs: ReadonlyMap<string, ServiceInput>,
): Map<string, ServiceInput> {
  const isCalm = !isUnderWay(context.stack);
  if (isCalm && ![...inputs.values()].some(isBehind)) return new Map(inputs);
  const facts = new Map<string, ServiceFacts>();
  for (const [name, input] of inputs) {
    if (input.target !== undefined) facts.set(name, factsOf(input));
  }
  return new Map(
    [...inputs].map(([name, input]) => {
      const spec = input.target?.spec;
      if (spec === undefined || (isCalm && !isBehind(input))) return [name, input];
      const dependsOn = isCalm ? onlyRestarting(spec) : spec.dependsOn;
      return [name, { ...input, gate: dependencyWaits(name, { dependsOn }, facts) }];
    }),
  );
}

/** Copies are there that a restart is to replace. */
function isBehind({ tasks, restartCount }: ServiceInput): boolean {
  return tasks.some(({ task }) => task.desired === "running" && task.restartCount < restartCount);
}

function onlyRestarting({ dependsOn }: ServiceSpec): ServiceSpec["dependsOn"] {
  return Object.fromEntries(
    Object.entries(dependsOn).filter(([, { restart }]) => restart === true),
  );
}

/** Places for the pods whose holders start in this round. */
function withStartingPods(
  input: ServiceInput,
  holder: string,
  decision: ServiceDecision | undefined,
): ServiceInput {
  if (input.target === undefined) return input;
  const starting = (decision?.starts ?? []).map(({ place }): Place => {
    const pod = { holder, task: undefined };
    return { key: `pod-starting-${place.key}`, slot: place.slot, pod };
  });
  return { ...input, places: [...input.places, ...starting] };
}

/** Whether the members that live with a holder's task are healthy, so that its predecessor may go. */
function podHealthOf(
  holder: string,
  inputs: ReadonlyMap<string, ServiceInput>,
): ServiceInput["podHealthy"] {
  const members = [...inputs.values()].filter(({ target }) => target?.spec.podWith === holder);
  return (task) =>
    members.every(({ target, tasks, now }) => {
      const spec = target?.spec;
      if (spec === undefined) return true;
      return tasks.some((record) => {
        if (record.task.podTask !== task.id || record.task.template !== target?.template)
          return false;
        if (record.status !== undefined && isCompletion(record.status, spec)) return true;
        const from = healthyAt(record, spec);
        return from !== undefined && from <= now;
      });
    });
}
