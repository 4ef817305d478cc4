/**
 * Removing a volume because a person said so: refused while anything may use it, carried out by the agent
 * of its node, forgotten when the agent has reported that it is gone.
 *
 * Repeatable at every point: a removal that was cut off leaves the volume known, and is begun again.
 */

import { keys, type Operation, type StackScope, stackKey, type Volume } from "@berth/protocol";
import { holdWords } from "../reconcile/volume-holds.ts";
import { accept, type Decision, refuse, unchangedSince } from "../release/refusal.ts";
import { usersOf } from "../release/volume-moves.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Compare } from "../store/port.ts";

export interface VolumeRemoval {
  readonly scope: StackScope;
  /** `data`, or `data.2` for that of a slot. */
  readonly name: string;
  readonly operationId: string;
  readonly now: number;
}

/** What is to be done: nothing on any node (`operation` absent), or an operation to wait for. */
export interface BegunRemoval {
  readonly volume: Volume;
  readonly operation: Operation | undefined;
}

/** Begins the removal. A volume that was never placed has no data and is forgotten at once. */
export function beginRemoval(view: ClusterView, removal: VolumeRemoval): Decision<BegunRemoval> {
  const found = removable(view, removal);
  if ("kind" in found) return found;
  const { key, revision, value: volume } = found;
  const compare = [unchangedSince(key, revision), ...unclaimed(volume)];
  if (volume.node === undefined) {
    return accept({ volume, operation: undefined }, compare, [{ kind: "delete", key }]);
  }
  const node = view.nodes.get(keys.node(volume.node))?.value;
  if (node?.contact !== "up") {
    const message = `volume ${removal.name} lies on node ${volume.node}, which is not in contact`;
    return refuse("node_unreachable", message, { node: volume.node });
  }
  const { scope, now, operationId } = removal;
  const operation: Operation = {
    id: operationId,
    project: scope.project,
    environment: scope.environment,
    stack: scope.stack,
    node: volume.node,
    createdAt: now,
    input: { kind: "remove-volume", engineName: volume.engineName },
    state: "pending",
    updatedAt: now,
  };
  const put = {
    kind: "put",
    key: keys.operation(volume.node, operationId),
    value: encode(operation),
  };
  return accept({ volume, operation }, compare, [
    put as { kind: "put"; key: string; value: string },
  ]);
}

/** Forgets the volume after its agent has removed it. */
export function endRemoval(
  view: ClusterView,
  removal: VolumeRemoval,
): Decision<Volume | undefined> {
  const key = keys.volume(removal.scope, removal.name);
  const known = view.volumes.get(key);
  // Somebody else's removal ended first, or the whole stack went.
  if (known === undefined) return accept(undefined, [], []);
  const found = removable(view, removal);
  if ("kind" in found) return found;
  const compare = [unchangedSince(key, found.revision), ...unclaimed(found.value)];
  return accept(found.value, compare, [{ kind: "delete", key }]);
}

function removable(view: ClusterView, { scope, name }: VolumeRemoval) {
  const found = view.volumes.get(keys.volume(scope, name));
  if (found === undefined) {
    const volumes = view.volumes.by("stack", stackKey(scope)).map(({ value }) => value.name);
    return refuse("not_found", `stack ${stackKey(scope)} has no volume ${name}`, { volumes });
  }
  if (found.value.external) {
    const message = `volume ${name} was there before the stack: the platform never removes it`;
    return refuse("policy_denied", message, { engineName: found.value.engineName });
  }
  const { hold } = found.value;
  if (hold !== undefined) return refuse("still_in_use", holdWords(name, hold), { hold: hold.kind });
  const users = usersOf(view, found);
  if (users.length === 0) return found;
  return refuse("still_in_use", `volume ${name} is used by ${users.join(", ")}`, { users });
}

/** Nobody takes the volume at the same time: its claim is free. */
function unclaimed(volume: Volume): Compare[] {
  if (volume.mode === "shared") return [];
  const key = keys.claim({ kind: "exclusive-volume", engineName: volume.engineName });
  return [{ key, target: "version", op: "=", value: 0 }];
}
