/**
 * Which volumes nobody may use just now, since something is done with them as a whole, and what that means for
 * the places of a service. Pure.
 *
 * While a hold is stopping or copying, no place of a service that mounts the volume is wanted, so that its copies
 * stop in order and none starts. In the other phases the volume is as good as any.
 */

import {
  keys,
  type ReleaseService,
  type ServiceScope,
  type Volume,
  type VolumeHold,
  type VolumeSpec,
  type Wait,
} from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Place } from "./service-input.ts";

/** Nobody may use the volume. */
export function isHeld({ hold }: Pick<Volume, "hold">): boolean {
  return hold?.phase === "stopping" || hold?.phase === "copying";
}

/** `volume data is moved to two: stopping`; for people. */
export function holdWords(name: string, { kind, to, phase }: VolumeHold): string {
  const what = { move: `is moved to ${to}`, backup: "is backed up", restore: "is restored" }[kind];
  return `volume ${name} ${what}: ${phase}`;
}

export interface HeldPlaces {
  /** Those that may be filled. */
  readonly free: readonly Place[];
  /** Why the others may not; one for each volume. */
  readonly waits: readonly Wait[];
}

/** Takes out the places that need a held volume. Cost: O(places × volumes of the service). */
export function withoutHeld(
  view: ClusterView,
  release: { readonly volumes: Readonly<Record<string, VolumeSpec>> },
  scope: ServiceScope,
  target: ReleaseService,
  places: readonly Place[],
): HeldPlaces {
  const mounted = target.spec.mounts.flatMap((mount) =>
    mount.kind === "volume" ? [mount.volume] : [],
  );
  if (mounted.length === 0) return { free: places, waits: [] };
  const waits = new Map<string, Wait>();
  const free = places.filter(({ slot }) => {
    const holding = mounted.flatMap((name) => {
      const perCopy = release.volumes[name]?.perCopy ?? false;
      const key = perCopy ? keys.volume(scope, name, slot) : keys.volume(scope, name);
      const volume = view.volumes.get(key)?.value;
      return volume?.hold !== undefined && isHeld(volume) ? [{ key, hold: volume.hold, name }] : [];
    });
    for (const { key, hold, name } of holding) {
      const message = `${scope.service} waits: ${holdWords(name, hold)}`;
      waits.set(key, { kind: "volume", message });
    }
    return holding.length === 0;
  });
  return { free, waits: [...waits.values()] };
}
