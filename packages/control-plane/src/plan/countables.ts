/**
 * Countable resources (`generic_resources`, graphics processors) and devices as the scheduler takes them.
 *
 * A kind of which some node reports devices is given out device by device, everywhere in the cluster; all others are
 * only counted. Of such a kind a node may state a number instead: so many devices that nobody can tell apart.
 */

import type { NodeStatus, ServiceSpec } from "@berth/protocol";
import type { DeviceModel, DeviceRequest, Requests } from "@berth/scheduler";
import type { ClusterView } from "../state/cluster-tables.ts";
import { KINDS_SEPARATOR } from "../state/device-kinds.ts";

/** A stated number stands for so many devices at most: it is a number of cards, not of licences. */
const STATED_DEVICES_MAX = 1_024;

export type DeviceKinds = ReadonlySet<string>;

/** Kinds of which some node reports devices. O(different sets of them). */
export function deviceKinds(view: ClusterView): DeviceKinds {
  const kinds = new Set<string>();
  for (const term of view.nodeStatuses.terms("devices")) {
    for (const kind of term.split(KINDS_SEPARATOR)) kinds.add(kind);
  }
  return kinds;
}

/** What one copy takes of them. */
export function countablesOf(
  { countables = {}, devices = [] }: ServiceSpec,
  kinds: DeviceKinds,
): Pick<Requests, "resources" | "devices"> {
  const resources = new Map<string, number>();
  const wanted: DeviceRequest[] = [];
  for (const [kind, count] of Object.entries(countables)) {
    if (!kinds.has(kind)) resources.set(kind, count);
    else if (count > 0) wanted.push({ kind, count });
  }
  for (const { kind, count, shareMillis, models } of devices) {
    const isCounted = shareMillis === 1_000 && models.length === 0 && !kinds.has(kind);
    if (isCounted) resources.set(kind, (resources.get(kind) ?? 0) + count);
    else wanted.push({ kind, count, shareMillis, models });
  }
  return {
    ...(resources.size === 0 ? {} : { resources: Object.fromEntries(resources) }),
    ...(wanted.length === 0 ? {} : { devices: wanted }),
  };
}

/** The same as quotas count it: in whole devices, of which a part is one. */
export function quotaCountables({ countables = {}, devices = [] }: ServiceSpec): {
  readonly resources?: Readonly<Record<string, number>>;
} {
  const counts = new Map(Object.entries(countables));
  for (const { kind, count } of devices) counts.set(kind, (counts.get(kind) ?? 0) + count);
  return counts.size === 0 ? {} : { resources: Object.fromEntries(counts) };
}

/** What a node has of them; what a person says of a kind goes before what the agent found. */
export function nodeCountables(
  stated: Readonly<Record<string, number>>,
  status: Pick<NodeStatus, "devices"> | undefined,
  kinds: DeviceKinds,
): { readonly resources: Readonly<Record<string, number>>; readonly devices: DeviceModel[] } {
  const counted = Object.entries(stated).filter(([kind]) => !kinds.has(kind));
  const devices: DeviceModel[] = [];
  for (const [kind, count] of Object.entries(stated)) {
    if (!kinds.has(kind) || count === 0) continue;
    devices.push({ kind, model: "", count: Math.min(count, STATED_DEVICES_MAX) });
  }
  for (const { kind, model } of status?.devices ?? []) {
    if (Object.hasOwn(stated, kind)) continue;
    const last = devices.at(-1);
    const isLike = last?.kind === kind && last.model === model;
    if (isLike) devices.splice(-1, 1, { kind, model, count: last.count + 1 });
    else devices.push({ kind, model, count: 1 });
  }
  return { resources: Object.fromEntries(counted), devices };
}
