/**
 * Moving a volume to another node: the next step, by an ordered table over what is in the store. Pure; the volume
 * controller commits what is returned.
 *
 * Invariants: before the switch the volume is where it was and whole, after it the copy is, and the switch is one
 * transaction that compares the volume, the operation and the node that has the copy. Nothing that a task may use is
 * ever written or removed: the copy has a name of its own, and the old volume goes after nobody can be placed with
 * it. Every step may be repeated, and every failure before the switch leads back.
 * Design page: docs/design/volumes.md
 */

import { MINUTE_MS, SECOND_MS } from "@berth/base";
import {
  keys,
  type Operation,
  type OperationInput,
  type StackScope,
  stackKey,
  taskName,
  type Volume,
  type VolumeHold,
} from "@berth/protocol";
import { Unit } from "../plan/unit.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import { accept, type Decision, refuse, unchangedSince } from "./refusal.ts";

/** Copies stop within their drain and grace periods; a service that does not is not left standing still. */
export const STOPPING_MS_MAX = 10 * MINUTE_MS;
/** A node that is silent for longer is not waited for: its agent would have been started again. */
export const SILENCE_MS_MAX = MINUTE_MS;
/** A removal that failed is tried again after this: something was in use a moment ago. */
export const REMOVAL_RETRY_MS = 15 * SECOND_MS;

export interface MoveWish {
  readonly scope: StackScope;
  /** `data`, or `data.2` for that of a slot. */
  readonly name: string;
  readonly to: string;
  readonly id: string;
  readonly now: number;
}

/** Begins a move: from here on no copy that uses the volume is wanted. */
export function beginMove(view: ClusterView, wish: MoveWish): Decision<Volume> {
  const { scope, name, to, id, now } = wish;
  const found = holdable(view, scope, name);
  if ("kind" in found) return found;
  const { key, revision, value: volume } = found;
  if (volume.node === undefined) {
    const message = `volume ${name} has no home yet: it is made where its first copy runs`;
    return refuse("conflict", message, { volume: name });
  }
  if (volume.node === to) return refuse("conflict", `volume ${name} is on ${to} already`, { to });
  const target = view.nodes.get(keys.node(to))?.value;
  if (target === undefined) {
    const nodes = view.nodes.all().map(({ value }) => value.name);
    return refuse("not_found", `there is no node ${to}`, { nodes });
  }
  if (target.availability !== "active") {
    return refuse("conflict", `node ${to} is being drained: nothing new comes there`, { to });
  }
  for (const node of [volume.node, to]) {
    if (isReachable(view, node)) continue;
    return refuse("node_unreachable", `node ${node} is not in contact`, { node });
  }
  const hold: VolumeHold = {
    id,
    kind: "move",
    phase: "stopping",
    startedAt: now,
    changedAt: now,
    to,
  };
  const next: Volume = { ...volume, hold };
  return accept(next, [unchangedSince(key, revision)], [{ kind: "put", key, value: encode(next) }]);
}

/** The volume, when nothing else is done with it and it is this stack's own. */
export function holdable(view: ClusterView, scope: StackScope, name: string) {
  const found = view.volumes.get(keys.volume(scope, name));
  if (found === undefined) {
    const volumes = view.volumes.by("stack", stackKey(scope)).map(({ value }) => value.name);
    return refuse("not_found", `stack ${stackKey(scope)} has no volume ${name}`, { volumes });
  }
  const { value: volume } = found;
  if (volume.hold !== undefined) {
    const { kind, phase } = volume.hold;
    const message = `volume ${name} is busy: ${kind}, ${phase}`;
    return refuse("conflict", message, { kind, phase });
  }
  if (volume.external) {
    const message = `volume ${name} is not the stack's own: name the stack that made it`;
    return refuse("policy_denied", message, { engineName: volume.engineName });
  }
  const sharers = view.volumes
    .by("engineName", volume.engineName)
    .filter(({ key }) => key !== found.key)
    .map(({ value }) => value.stack);
  if (sharers.length === 0) return found;
  const message = `volume ${name} is used by other stacks as well: ${sharers.join(", ")}`;
  return refuse("conflict", message, { stacks: sharers });
}

export interface VolumeStepInput {
  readonly view: ClusterView;
  readonly volume: Entity<Volume>;
  readonly hold: VolumeHold;
  readonly now: number;
  readonly newId: () => string;
}

/** What to write now; nothing while something is waited for. Cost: O(tasks of the environment). */
export function volumeStep(input: VolumeStepInput): Unit | undefined {
  switch (input.hold.phase) {
    case "stopping":
      return stopping(input);
    case "copying":
      return copying(input);
    case "cleaning":
    case "undoing":
      return removing(input);
  }
}

function stopping(input: VolumeStepInput): Unit | undefined {
  const { view, volume, hold, now } = input;
  // Whoever backs up or restores goes on by itself; here it only can be forgotten.
  if (hold.kind !== "move") return expired(input);
  const lost = lostNode(input);
  if (lost !== undefined) return undo(input, lost);
  const users = usersOf(view, volume);
  if (users.length === 0) return copy(input);
  if (now - hold.startedAt <= STOPPING_MS_MAX) return undefined;
  return undo(input, `${users.join(", ")} did not stop in time`);
}

function copy({ view, volume, hold, now, newId }: VolumeStepInput): Unit {
  const { project, environment, stack, name, engineName, node: from = "" } = volume.value;
  const { to = "" } = hold;
  const id = newId();
  const made = `${engineName.replace(/\.m[a-z0-9]+$/, "")}.m${id.slice(0, 6)}`;
  const number = view.stacks.get(keys.stack(volume.value))?.value.release ?? 0;
  const spec = view.releases.get(keys.release(volume.value, number))?.value.volumes[name];
  const input: OperationInput = {
    kind: "receive-volume",
    ...{ engineName: made, from, source: engineName },
    driverOptions: spec?.driverOptions ?? {},
    labels: spec?.labels ?? {},
    ...(spec?.driver === undefined ? {} : { driver: spec.driver }),
  };
  const operation: Operation = {
    ...{ id, project, environment, stack, node: to, createdAt: now, updatedAt: now },
    input,
    state: "pending",
  };
  const unit = new Unit();
  unit.put(keys.operation(to, id), encode(operation));
  put(unit, volume, {
    ...volume.value,
    hold: { ...hold, phase: "copying", changedAt: now, copy: made, operation: id },
  });
  return unit;
}

function copying(input: VolumeStepInput): Unit | undefined {
  const { view, hold } = input;
  if (hold.kind !== "move") return expired(input);
  const operation = operationOf(view, hold);
  if (operation === undefined) return undo(input, "the copy was forgotten");
  const isThere = hold.to !== undefined && isReachable(view, hold.to);
  // Never to a node that has gone with the copy it made.
  if (operation.value.state === "done" && isThere) return switchOver(input, operation);
  if (operation.value.state === "failed") {
    return undo(input, operation.value.error?.message ?? "the copy failed");
  }
  const lost = lostNode(input);
  return lost === undefined ? undefined : undo(input, lost);
}

/** The one moment in which the volume becomes its copy. */
function switchOver(input: VolumeStepInput, operation: Entity<Operation>): Unit {
  const { view, volume, hold, now } = input;
  const { node = "", engineName } = volume.value;
  const { to = "", copy: made = engineName, operation: _over, ...rest } = hold;
  const bytes = operation.value.received?.bytes;
  const unit = new Unit();
  unit.expect(operation.key, operation.revision);
  unit.delete(operation.key);
  const target = keys.node(to);
  unit.expect(target, view.nodes.get(target)?.revision);
  put(unit, volume, {
    ...volume.value,
    node: to,
    engineName: made,
    hold: { ...rest, to, phase: "cleaning", changedAt: now, leftover: { node, engineName } },
    last: {
      ...{ id: hold.id, kind: hold.kind, state: "done", at: now },
      ...(bytes === undefined ? {} : { bytes }),
    },
  });
  return unit;
}

/** Back to how it was; what was begun is removed. */
export function undo({ view, volume, hold, now }: VolumeStepInput, reason: string): Unit {
  const operation = operationOf(view, hold);
  const { operation: _over, copy: made, ...rest } = hold;
  const unit = new Unit();
  if (operation !== undefined) {
    unit.expect(operation.key, operation.revision);
    unit.delete(operation.key);
  }
  const node = hold.kind === "move" ? hold.to : volume.value.node;
  const leftover =
    made === undefined || node === undefined ? undefined : { node, engineName: made };
  const last = { id: hold.id, kind: hold.kind, state: "failed", reason, at: now } as const;
  const next: VolumeHold = { ...rest, phase: "undoing", changedAt: now, reason };
  put(unit, volume, {
    ...volume.value,
    hold: leftover === undefined ? next : { ...next, leftover },
    last,
  });
  return unit;
}

function removing(input: VolumeStepInput): Unit | undefined {
  const { view, hold, now } = input;
  const { leftover } = hold;
  // A node that is no member any more has taken its volumes along.
  const isGone = leftover === undefined || view.nodes.get(keys.node(leftover.node)) === undefined;
  const operation = operationOf(view, hold);
  if (isGone || operation?.value.state === "done") return finish(input, operation);
  if (operation === undefined) return remove(input, undefined);
  const { state, updatedAt } = operation.value;
  const isDue = state === "failed" && now - updatedAt >= REMOVAL_RETRY_MS;
  return isDue ? remove(input, operation) : undefined;
}

function remove(
  { volume, hold, now, newId }: VolumeStepInput,
  before: Entity<Operation> | undefined,
): Unit {
  const { project, environment, stack } = volume.value;
  const { node, engineName } = hold.leftover ?? { node: "", engineName: "" };
  const id = newId();
  const operation: Operation = {
    ...{ id, project, environment, stack, node, createdAt: now, updatedAt: now },
    input: { kind: "remove-volume", engineName },
    state: "pending",
  };
  const unit = new Unit();
  if (before !== undefined) unit.delete(before.key);
  unit.put(keys.operation(node, id), encode(operation));
  put(unit, volume, { ...volume.value, hold: { ...hold, operation: id } });
  return unit;
}

function finish({ volume }: VolumeStepInput, operation: Entity<Operation> | undefined): Unit {
  const unit = new Unit();
  if (operation !== undefined) unit.delete(operation.key);
  const { hold: _over, ...rest } = volume.value;
  put(unit, volume, rest);
  return unit;
}

/** Of a backup or restore whose server or client has gone. */
function expired(input: VolumeStepInput): Unit | undefined {
  const { hold, now } = input;
  if (hold.until === undefined || now <= hold.until) return undefined;
  return undo(input, `the ${hold.kind} was given up: nobody went on with it`);
}

/** When to look again although nothing changes. Wall time. */
export function nextLookAt(hold: VolumeHold): number {
  if (hold.until !== undefined) return hold.until + 1;
  return hold.phase === "stopping" ? hold.startedAt + STOPPING_MS_MAX + 1 : Number.MAX_SAFE_INTEGER;
}

/**
 * Tasks, of any stack of the environment, that may have the volume, whatever was said about their node: until their
 * agent has said that containers and locks are gone.
 */
export function usersOf(view: ClusterView, { value: volume }: Entity<Volume>): string[] {
  const environment = `${volume.project}/${volume.environment}`;
  const users: string[] = [];
  for (const { value: task } of view.tasks.by("environment", environment)) {
    if (!task.volumes.some(({ engineName }) => engineName === volume.engineName)) continue;
    const [status] = view.statuses.by("task", task.id);
    if (status?.value.state !== "removed") users.push(`${task.stack}/${taskName(task)}`);
  }
  return users;
}

function lostNode({ view, volume, hold, now }: VolumeStepInput): string | undefined {
  for (const name of [volume.value.node, hold.to]) {
    if (name === undefined) continue;
    const node = view.nodes.get(keys.node(name))?.value;
    if (node === undefined) return `node ${name} is no member any more`;
    if (node.contact === "down" && now - node.contactChangedAt > SILENCE_MS_MAX) {
      return `node ${name} is not in contact`;
    }
  }
  return undefined;
}

function isReachable(view: ClusterView, node: string): boolean {
  const status = view.nodeStatuses.get(keys.nodeStatus(node))?.value;
  return (
    view.nodes.get(keys.node(node))?.value.contact === "up" && status?.engine.reachable === true
  );
}

function operationOf(view: ClusterView, { operation }: VolumeHold): Entity<Operation> | undefined {
  return operation === undefined ? undefined : view.operations.by("id", operation)[0];
}

function put(unit: Unit, volume: Entity<Volume>, value: Volume): void {
  unit.expect(volume.key, volume.revision);
  unit.put(volume.key, encode(value));
}
