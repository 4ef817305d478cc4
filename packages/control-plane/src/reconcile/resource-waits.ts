/**
 * Who stands in the way of an exclusive start: the live holder of a volume or of a fixed address.
 *
 * The claim's transaction is what makes two holders impossible; this look only says early, and in words,
 * what the transaction would refuse. A holder whose end its agent has confirmed, or about which a verdict
 * was given, stands in nobody's way.
 */

import {
  isFinal,
  keys,
  type Release,
  type ServiceScope,
  serviceKey,
  type Task,
  taskName,
} from "@berth/protocol";
import { fixedAddress } from "../addresses/fixed-address.ts";
import { exclusiveVolumes } from "../release/exclusive.ts";
import type { ClaimHolder } from "../state/claim-holder.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import type { Blocker, Place } from "./service-input.ts";
import { placeName } from "./waits.ts";

/** Whom a start in `place` waits for; empty when everything it needs alone is free. */
export function resourceBlockers(
  view: ClusterView,
  release: Release,
  scope: ServiceScope,
  place: Place,
): Blocker[] {
  const spec = release.services[scope.service]?.spec;
  if (spec === undefined) return [];
  const name = placeName(scope.service, place);
  const volumes = exclusiveVolumes(spec, release.volumes).flatMap((volume) => {
    const key = volumeKey(scope, volume, release.volumes[volume]?.perCopy ?? false, place);
    const engineName = view.volumes.get(key)?.value.engineName;
    if (engineName === undefined) return [];
    const claim = keys.claim({ kind: "exclusive-volume", engineName });
    const what = `${name} waits for volume ${volume}`;
    return holdersOf(view, { claim, what, kind: "volume" }, scope, place);
  });
  const addresses = Object.entries(spec.networks).flatMap(([network, use]) => {
    const { external } = release.networks[network] ?? {};
    const owner = external === undefined ? scope : { ...scope, ...external };
    const id = view.networks.get(keys.network(owner, external?.name ?? network))?.value.id;
    const address = fixedAddress(use, place.slot);
    if (address === undefined || id === undefined) return [];
    const claim = keys.claim({ kind: "address", networkId: id, address });
    const what = `${name} waits for address ${address}`;
    return holdersOf(view, { claim, what, kind: "address" }, scope, place);
  });
  return [...volumes, ...addresses];
}

function volumeKey(scope: ServiceScope, name: string, perCopy: boolean, place: Place): string {
  return perCopy ? keys.volume(scope, name, place.slot) : keys.volume(scope, name);
}

function holdersOf(
  view: ClusterView,
  wish: { readonly claim: string; readonly what: string; readonly kind: string },
  scope: ServiceScope,
  place: Place,
): Blocker[] {
  const holder = view.claims.get(wish.claim)?.value;
  return liveHolders(view, holder)
    .filter((task) => !isSamePod(place, task) && !isPredecessor(scope, place, task))
    .map((task) => {
      const message = `${wish.what}, which ${taskName(task)} on ${task.node} uses`;
      return { task, wait: { kind: wish.kind, message, slot: place.slot } };
    });
}

/** Another copy of the same place: that it must end first is the place's own rule. */
function isPredecessor(scope: ServiceScope, place: Place, task: Task): boolean {
  return serviceKey(task) === serviceKey(scope) && task.slot === place.slot;
}

function isSamePod(place: Place, task: Task): boolean {
  const holder = place.pod?.task;
  return holder !== undefined && (task.id === holder || task.podTask === holder);
}

/** Tasks of a claim that may still use what is claimed. */
export function liveHolders(view: ClusterView, holder: ClaimHolder | undefined) {
  return (holder?.tasks ?? []).flatMap((id) => {
    const [entity] = view.tasks.by("id", id);
    if (entity === undefined || entity.value.verdict !== undefined) return [];
    const status = statusOf(view, id);
    return status !== undefined && isFinal(status.state) ? [] : [entity.value];
  });
}
