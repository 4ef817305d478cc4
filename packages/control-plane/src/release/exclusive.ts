/**
 * Which services use something that only one task may use at a time: a writable exclusive volume or a
 * fixed address. Such services are stop-first, and at most one of their tasks per resource ever lives.
 */

import type { NetworkSpec, ServiceSpec, VolumeSpec } from "@berth/protocol";

/** What exclusiveness is decided by: a stack's spec or a release. */
export interface ExclusiveContext {
  readonly services: Readonly<Record<string, { readonly spec: ServiceSpec }>>;
  readonly volumes: Readonly<Record<string, VolumeSpec>>;
  readonly networks: Readonly<Record<string, NetworkSpec>>;
}

export interface ExclusiveReason {
  /** "it writes to the exclusive volume data" */
  readonly text: string;
  /** Each copy has its own: many copies are fine, but none may start before its predecessor ended. */
  readonly perCopy: boolean;
}

/** Why `service` is exclusive; `undefined` when it is free. What binds all copies is named first. */
export function exclusiveReason(
  context: ExclusiveContext,
  service: string,
): ExclusiveReason | undefined {
  const spec = context.services[service]?.spec;
  if (spec === undefined) return undefined;
  const reasons = [...volumeReasons(spec, context.volumes), ...addressReasons(spec)];
  return reasons.find((reason) => !reason.perCopy) ?? reasons[0];
}

function volumeReasons(
  spec: ServiceSpec,
  volumes: Readonly<Record<string, VolumeSpec>>,
): ExclusiveReason[] {
  return exclusiveVolumes(spec, volumes).map((name) => ({
    text: `it writes to the exclusive volume ${name}`,
    perCopy: volumes[name]?.perCopy ?? false,
  }));
}

function addressReasons(spec: ServiceSpec): ExclusiveReason[] {
  return Object.entries(spec.networks).flatMap(([name, use]): ExclusiveReason[] => {
    const { addresses, ipv4Address } = use;
    if (addresses !== undefined) {
      return [{ text: `its copies have fixed addresses in network ${name}`, perCopy: true }];
    }
    if (ipv4Address === undefined) return [];
    const text = `it has the fixed address ${ipv4Address} in network ${name}`;
    return [{ text, perCopy: false }];
  });
}

/** Names of the volumes that a copy of the service writes to alone, each once, sorted. */
export function exclusiveVolumes(
  spec: ServiceSpec,
  volumes: Readonly<Record<string, VolumeSpec>>,
): string[] {
  const names = new Set<string>();
  for (const mount of spec.mounts) {
    if (mount.kind !== "volume" || mount.readOnly) continue;
    if (volumes[mount.volume]?.mode === "exclusive") names.add(mount.volume);
  }
  return [...names].sort();
}
