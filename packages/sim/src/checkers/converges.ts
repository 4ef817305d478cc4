/**
 * When faults stop, everything becomes as it is wanted, and stays so: stacks, tasks, containers, claims,
 * locks and volumes.
 *
 * What is wanted follows from what users were promised and from the releases in the store, not from the
 * server's own view of what it is about to do.
 */

import { LABEL_TASK } from "@berth/agent/runtime/port";
import { keys, type Release, type ServiceSpec, type Stack, type Task } from "@berth/protocol";
import { canWork } from "../stack-specs.ts";
import type { StoreFacts } from "../store-facts.ts";
import type { Checker, Scene } from "./checker.ts";

export function convergesChecker(): Checker {
  return { name: "converges", pending: unconverged };
}

type Rule = (scene: Scene) => string | undefined;

const RULES: readonly Rule[] = [
  everybodyUp,
  promisesKept,
  deploymentsOver,
  rolloutsOver,
  servicesComplete,
  claimsHeld,
  machinesClean,
];

/** The first thing that is not as it is wanted; `undefined` when all is well. */
function unconverged(scene: Scene): string | undefined {
  for (const rule of RULES) {
    const reason = rule(scene);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function everybodyUp({ cluster, operator }: Scene): string | undefined {
  if (operator.busy) return "the operator has not finished";
  if (cluster.server === undefined) return "no server serves";
  for (const machine of cluster.machines) {
    const status = machine.agent?.status();
    if (status === undefined) return `${machine.name} has no agent`;
    if (!status.contact) return `${machine.name} has no contact: ${status.contactProblem}`;
    if (status.unreported > 0) return `${machine.name} has ${status.unreported} unsent reports`;
    const node = cluster.facts.node.get(keys.node(machine.name));
    if (node?.contact !== "up") return `${machine.name} is down for the server`;
  }
  return undefined;
}

function promisesKept({ cluster, users }: Scene): string | undefined {
  for (const { stack, promised, busy } of users) {
    if (busy) return `the user of ${stack} has no answer`;
    const row = [...cluster.facts.stack.values()].find((each) => each.stack === stack);
    if (!promised.present && row !== undefined) return `stack ${stack} was removed and is there`;
    if (!promised.present || promised.last === undefined) continue;
    const { deployment } = promised.last;
    const found = [...cluster.facts.deployment.values()].find(({ id }) => id === deployment);
    if (found === undefined) return `deployment ${deployment} of ${stack} is not there`;
    if (found.state === "released" && row === undefined) return `stack ${stack} is not there`;
  }
  return undefined;
}

function deploymentsOver({ cluster: { facts } }: Scene): string | undefined {
  for (const { id, stack, state } of facts.deployment.values()) {
    if (state === "pending") return `deployment ${id} of ${stack} is pending`;
  }
  return undefined;
}

function rolloutsOver({ cluster: { facts } }: Scene): string | undefined {
  for (const { stack, rollout, deleting } of facts.stack.values()) {
    if (deleting !== undefined) return `stack ${stack} is still being removed`;
    const state = rollout?.state;
    if (state === "progressing" || state === "rolling-back")
      return `rollout of ${stack} is ${state}`;
  }
  return undefined;
}

function servicesComplete({ cluster: { facts } }: Scene): string | undefined {
  for (const stack of facts.stack.values()) {
    const release = facts.release.get(keys.release(stack, stack.release));
    if (release === undefined) return `release ${stack.release} of ${stack.stack} is not there`;
    const reason = stackIncomplete(stack, release, facts);
    if (reason !== undefined) return reason;
  }
  for (const task of facts.task.values()) {
    if (!isOver(task, facts) && task.desired === "stopped") return `${nameOf(task)} has not ended`;
  }
  return undefined;
}

/** A rollout that failed and rests promises nothing: old copies stay beside new ones that do not come. */
function stackIncomplete(stack: Stack, release: Release, facts: StoreFacts): string | undefined {
  const state = stack.rollout?.state;
  const rests = state === "failed" || state === "paused";
  const wanted = [...facts.task.values()].filter(
    (task) => task.stack === stack.stack && task.desired === "running" && !isOver(task, facts),
  );
  const stray = wanted.find((task) => release.services[task.service] === undefined);
  if (stray !== undefined && !rests) return `${nameOf(stray)} is of no service of ${stack.stack}`;
  for (const [service, { spec, template }] of Object.entries(release.services)) {
    const copies = wanted.filter((task) => task.service === service);
    const holder = spec.podWith ?? service;
    const scale = facts.scale.get(keys.scale({ ...stack, service: holder }));
    const isGlobal = spec.mode === "global";
    const number = isGlobal
      ? facts.node.size
      : (scale?.value ?? release.services[holder]?.spec.copies ?? 0);
    // What cannot work keeps its old copy beside the new one, and may crash after a rollout was complete.
    // A member of a pod goes down with its holder.
    const works = canWork(spec) && canWork(release.services[holder]?.spec ?? spec);
    if (rests || !works) continue;
    if (copies.length > number)
      return `${copies.length} copies of ${stack.stack}/${service}, not ${number}`;
    const reason = serviceIncomplete({ stack, service, spec, template, copies, number }, facts);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

interface ServiceFacts {
  readonly stack: Stack;
  readonly service: string;
  readonly spec: ServiceSpec;
  readonly template: string;
  readonly copies: readonly Task[];
  readonly number: number;
}

function serviceIncomplete(input: ServiceFacts, facts: StoreFacts): string | undefined {
  const { stack, service, spec, template, copies, number } = input;
  const name = `${stack.stack}/${service}`;
  if (spec.mode === "job" || spec.restart.policy === "no") {
    const done = [...facts.task.values()].some(
      (task) =>
        task.stack === stack.stack &&
        task.service === service &&
        task.template === template &&
        facts.statusOf(task.id)?.outcome === "complete",
    );
    return done || number === 0 ? undefined : `${name} was never done`;
  }
  const ready = copies.filter((task) => facts.statusOf(task.id)?.ready === true);
  if (ready.length !== number) return `${ready.length} of ${number} copies of ${name} are ready`;
  const old = copies.find((task) => task.template !== template);
  if (old !== undefined) return `${nameOf(old)} runs an old release`;
  const restarts = stack.restarts[service] ?? 0;
  const unrestarted = copies.find((task) => task.restartCount < restarts);
  return unrestarted === undefined ? undefined : `${nameOf(unrestarted)} was not restarted`;
}

/** Claims name a stack that is there and tasks that live. */
function claimsHeld({ cluster: { facts } }: Scene): string | undefined {
  const stacks = new Set([...facts.stack.values()].map((stack) => keys.stack(stack)));
  for (const [key, { stack, tasks, freeAt }] of facts.claim) {
    const [project = "", environment = "", name = ""] = stack.split("/");
    if (freeAt !== undefined || stack === "-") continue;
    if (!stacks.has(keys.stack({ project, environment, stack: name })))
      return `${key} has no stack`;
    if (tasks === undefined) continue;
    const live = tasks.filter((id) => {
      const task = facts.taskOf(id);
      return task !== undefined && !isOver(task, facts);
    });
    if (live.length === 0) return `${key} is held by no live task (${tasks.join(", ")})`;
  }
  return undefined;
}

/** What runs and what is kept at a machine is what the store knows of it. */
function machinesClean({ cluster: { facts, machines } }: Scene): string | undefined {
  for (const { name, host, agent } of machines) {
    for (const container of host.containers.values()) {
      const task = facts.taskOf(container.request.labels[LABEL_TASK] ?? "");
      if (task === undefined) return `${container.request.name} on ${name} is of no task`;
      if (!container.running) continue;
      if (task.desired === "stopped" || task.node !== name)
        return `${nameOf(task)} runs on ${name}`;
    }
    const known = new Set([...facts.volume.values()].map(({ engineName }) => engineName));
    const stray = [...host.volumes.keys()].find((engineName) => !known.has(engineName));
    if (stray !== undefined) return `volume ${stray} on ${name} is of no stack`;
    for (const [engineName, holder] of Object.entries(agent?.status().locks ?? {})) {
      const task = facts.taskOf(holder);
      if (task === undefined || isOver(task, facts))
        return `lock of ${engineName} on ${name} is left`;
    }
  }
  return undefined;
}

function isOver(task: Task, facts: StoreFacts): boolean {
  const state = facts.statusOf(task.id)?.state;
  return state === "ended" || state === "removed";
}

function nameOf({ stack, service, slot, id }: Task): string {
  return `${stack}/${service}.${slot} (${id.slice(0, 4)})`;
}
