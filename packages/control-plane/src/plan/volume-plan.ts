/**
 * Volumes of a copy: found or made, bound to the node of their first task, and claimed when only one task
 * may write to them.
 */

import {
  keys,
  type ServiceSpec,
  stackKey,
  type TaskVolume,
  type Volume,
  type VolumeSpec,
} from "@berth/protocol";
import { liveHolders } from "../reconcile/resource-waits.ts";
import { holdWords, isHeld } from "../reconcile/volume-holds.ts";
import { exclusiveVolumes } from "../release/exclusive.ts";
import { encode } from "../state/decode.ts";
import { volumeNames } from "./asks.ts";
import { type Obstacle, obstacle, type PlanContext } from "./plan-context.ts";
import type { Unit } from "./unit.ts";

export interface VolumeUser {
  /** Identifier of the new task. */
  readonly task: string;
  readonly slot: number;
  readonly node: string;
  /** The task that holds its pod, when it is not the holder itself. */
  readonly podTask: string | undefined;
  /** Tasks that are given up with the same write. */
  readonly givenUp: ReadonlySet<string>;
}

/** The volumes that the task mounts, with everything that `unit` must write for them. */
export function planVolumes(
  context: PlanContext,
  spec: ServiceSpec,
  user: VolumeUser,
  unit: Unit,
): TaskVolume[] | Obstacle {
  const { release } = context.input;
  const exclusive = new Set(exclusiveVolumes(spec, release.volumes));
  const volumes: TaskVolume[] = [];
  for (const name of volumeNames(spec)) {
    const volume = ensureVolume(context, name, user, unit);
    if ("message" in volume) return volume;
    const { engineName } = volume;
    volumes.push({ volume: name, engineName, exclusive: exclusive.has(name) });
    if (!exclusive.has(name)) continue;
    const taken = claimVolume(context, engineName, user, unit);
    if (taken !== undefined) return taken;
  }
  return volumes;
}

function ensureVolume(
  context: PlanContext,
  name: string,
  user: VolumeUser,
  unit: Unit,
): Volume | Obstacle {
  const { view, release, stack } = context.input;
  const spec = release.volumes[name];
  if (spec === undefined) return obstacle("volume", `the release has no volume ${name}`);
  const slot = spec.perCopy ? user.slot : undefined;
  const key = keys.volume(stack.value, name, slot);
  const known = view.volumes.get(key);
  const volume = context.volumes.get(key) ?? known?.value;
  if (volume?.hold !== undefined && isHeld(volume)) {
    return obstacle("volume", holdWords(name, volume.hold));
  }
  const home = volume?.node ?? (isLocal(spec) ? user.node : undefined);
  if (home !== undefined && home !== user.node) {
    return obstacle("volume", `volume ${name} lives on ${home}`);
  }
  const bound = volume ?? newVolume(context, { name, spec, slot }, unit);
  if (isHeld(bound)) return obstacle("volume", `volume ${name} is held by the stack that made it`);
  const next: Volume = home === undefined ? bound : { ...bound, node: home };
  if (!context.volumes.has(key)) unit.expect(key, known?.revision);
  if (volume === undefined || volume.node !== next.node) {
    unit.put(key, encode(next));
    context.volumes.set(key, next);
  }
  return next;
}

/** The data lies on one node: the engine's own driver without a server behind it. */
function isLocal(spec: VolumeSpec): boolean {
  if (spec.driver !== undefined && spec.driver !== "local") return false;
  const type = spec.driverOptions["type"];
  return type !== "nfs" && type !== "nfs4" && type !== "cifs";
}

function newVolume(
  context: PlanContext,
  wish: { readonly name: string; readonly spec: VolumeSpec; readonly slot: number | undefined },
  unit: Unit,
): Volume {
  const { name, spec, slot } = wish;
  const { view, stack, ids, now } = context.input;
  const { project, environment } = stack.value;
  const environmentVolumes = view.volumes.by("environment", `${project}/${environment}`);
  const outside = spec.external?.name;
  const row = environmentVolumes.find(
    ({ value }) => outside !== undefined && `${value.stack}_${value.name}` === outside,
  );
  // It may be moved in this very moment: then it is elsewhere, under another name.
  if (row !== undefined) unit.expect(row.key, row.revision);
  const adopted = row?.value;
  return {
    project,
    environment,
    stack: stack.value.stack,
    name,
    ...(slot === undefined ? {} : { slot }),
    engineName:
      adopted?.engineName ?? outside ?? engineName(stack.value.stack, name, ids.identifier()),
    mode: spec.mode,
    ...(adopted?.node === undefined ? {} : { node: adopted.node }),
    external: spec.external !== undefined,
    ...(adopted?.hold === undefined ? {} : { hold: adopted.hold }),
    createdAt: now,
  };
}

/** `berth-shop-db-data-4k2n9x`: readable in the engine's lists; never used again, so no old data returns. */
function engineName(stack: string, name: string, identifier: string): string {
  return `berth-${stack}-${name.replaceAll(/[^a-zA-Z0-9_.-]/g, "-")}-${identifier.slice(0, 6)}`;
}

/** Takes the volume for the task, beside members of its own pod. */
function claimVolume(
  context: PlanContext,
  engineName: string,
  user: VolumeUser,
  unit: Unit,
): Obstacle | undefined {
  const { view, stack } = context.input;
  const key = keys.claim({ kind: "exclusive-volume", engineName });
  const known = view.claims.get(key);
  const live = liveHolders(view, known?.value).filter(({ id }) => !user.givenUp.has(id));
  const stranger = live.find(
    (task) =>
      user.podTask === undefined || (task.id !== user.podTask && task.podTask !== user.podTask),
  );
  if (stranger !== undefined) {
    return obstacle("volume", `${engineName} is used by ${stranger.service}-${stranger.slot}`);
  }
  const planned = unit.claimed.get(key) ?? [];
  const tasks = [...live.map((task) => task.id), ...planned, user.task];
  unit.expect(key, known?.revision);
  unit.claimed.set(key, [...planned, user.task]);
  unit.put(key, encode({ stack: stackKey(stack.value), tasks }));
  return undefined;
}
