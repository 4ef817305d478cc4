/**
 * The removal of a stack, in steps that each may be repeated: stop every task; when all have ended, forget
 * them; then networks; then the volumes that were asked for, each by an operation on its node; then claims,
 * numbers, releases; the stack itself last, so that nothing is left without an owner.
 *
 * A volume that was not asked for stays, and is found again by a stack of the same name.
 */

import {
  keys,
  type Operation,
  type Stack,
  stackKey,
  type Volume,
  type Wait,
} from "@berth/protocol";
import { Unit } from "../plan/unit.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { ServiceInput } from "./service-input.ts";
import { classify } from "./task-class.ts";
import { forgetTask } from "./tidy.ts";
import { holdWords } from "./volume-holds.ts";

export interface Removal {
  readonly units: readonly Unit[];
  readonly waits: readonly Wait[];
}

export interface RemovalInput {
  readonly view: ClusterView;
  readonly stack: Entity<Stack>;
  readonly services: readonly { readonly input: ServiceInput }[];
  readonly now: number;
  readonly newId: () => string;
}

/** The next step of the removal. Stops are the services' own decision; here comes what follows them. */
export function removeStep(input: RemovalInput): Removal {
  const { view, stack } = input;
  const alive = input.services.flatMap(({ input: service }) =>
    service.tasks.filter((record) => {
      const kind = classify(record, service);
      return kind !== "over" && kind !== "given-up";
    }),
  );
  if (alive.length > 0) {
    const message = `${alive.length} tasks have not stopped yet`;
    return { units: [], waits: [{ kind: "removal", message }] };
  }
  const stackName = stackKey(stack.value);
  const tasks = view.tasks.by("stack", stackName);
  if (tasks.length > 0) return { units: tasks.map(forgetTask), waits: [] };
  const held = view.volumes.by("stack", stackName).find(({ value }) => value.hold !== undefined);
  if (held?.value.hold !== undefined) {
    const message = holdWords(held.value.name, held.value.hold);
    return { units: [], waits: [{ kind: "volume", message }] };
  }
  const volumes = removeVolumes(input);
  if (volumes.units.length > 0 || volumes.waits.length > 0) return volumes;
  const foreign = foreignTasks(view, stackName);
  if (foreign.length > 0) {
    const message = `its networks are used by tasks of ${foreign.join(", ")}`;
    return { units: [], waits: [{ kind: "network", message }] };
  }
  const rest = removeRest(view, stackName);
  if (rest.length > 0) return { units: rest, waits: [] };
  const last = new Unit();
  last.expect(stack.key, stack.revision);
  last.delete(stack.key);
  return { units: [last], waits: [] };
}

/** Stacks whose tasks are still attached to a network of this one. None is attached anew meanwhile. */
function foreignTasks(view: ClusterView, stackName: string): string[] {
  const holders = view.networks
    .by("stack", stackName)
    .flatMap(({ value }) => view.claims.by("network", value.id))
    .map(({ value }) => value.stack)
    .filter((holder) => holder !== stackName);
  return [...new Set(holders)].sort();
}

/** Everything that names the stack but the stack itself and its volumes. */
function removeRest(view: ClusterView, stackName: string): Unit[] {
  const rows = [
    ...view.networks.by("stack", stackName),
    ...view.claims.by("stack", stackName),
    ...view.scales.by("stack", stackName),
    ...view.deployments.by("stack", stackName),
    ...view.secrets.by("stack", stackName),
    ...view.releases.by("stack", stackName),
    ...view.operations.by("stack", stackName),
  ];
  return rows.map(({ key, revision }) => {
    const unit = new Unit();
    unit.expect(key, revision);
    unit.delete(key);
    return unit;
  });
}

/** A failed removal of a volume is tried again after this: its node may have been busy. */
const VOLUME_RETRY_MS = 30_000;

function removeVolumes(input: RemovalInput): Removal {
  const { view, stack } = input;
  const asked = new Set(stack.value.deleting?.volumes ?? []);
  const units: Unit[] = [];
  const waits: Wait[] = [];
  for (const volume of view.volumes.by("stack", stackKey(stack.value))) {
    if (!asked.has(volume.value.name)) continue;
    const { unit, wait } = removeVolume(input, volume);
    if (unit !== undefined) units.push(unit);
    if (wait !== undefined) waits.push(wait);
  }
  return { units, waits };
}

function removeVolume(
  { view, now, newId }: RemovalInput,
  volume: Entity<Volume>,
): { readonly unit?: Unit; readonly wait?: Wait } {
  const { node, external, name, engineName } = volume.value;
  // Without a home there is no data; what was there before is not ours to remove.
  if (node === undefined || external) return { unit: forgetVolume(volume) };
  const operation = operationOf(view, volume.value);
  if (operation?.value.state === "done") return { unit: forgetVolume(volume) };
  const failedAt = operation?.value.state === "failed" ? operation.value.updatedAt : undefined;
  const message = `volume ${name} is being removed on ${node}`;
  const wait: Wait = {
    kind: "volume",
    message: failedAt === undefined ? message : `${message}: ${operation?.value.error?.message}`,
  };
  const due = operation === undefined || (failedAt ?? now) + VOLUME_RETRY_MS <= now;
  if (!due) return { wait };
  const unit = new Unit();
  if (operation !== undefined) unit.delete(operation.key);
  const { project, environment, stack } = volume.value;
  const made: Operation = {
    id: newId(),
    project,
    environment,
    stack,
    node,
    createdAt: now,
    input: { kind: "remove-volume", engineName },
    state: "pending",
    updatedAt: now,
  };
  unit.expect(volume.key, volume.revision);
  unit.put(keys.operation(node, made.id), encode(made));
  return { unit, wait };
}

function forgetVolume(volume: Entity<Volume>): Unit {
  const unit = new Unit();
  unit.expect(volume.key, volume.revision);
  unit.delete(volume.key);
  return unit;
}

function operationOf(view: ClusterView, volume: Volume): Entity<Operation> | undefined {
  return view.operations
    .by("stack", stackKey(volume))
    .findLast(
      ({ value }) =>
        value.input.kind === "remove-volume" && value.input.engineName === volume.engineName,
    );
}
