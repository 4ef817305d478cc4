/** A node as the scheduler sees it, from what users wrote and what its agent says. */

import type { Node, NodeStatus } from "@berth/protocol";
import { type NodeModel, type Taint, type Toleration, tolerates } from "@berth/scheduler";
import { type DeviceKinds, nodeCountables } from "./countables.ts";

/** Labels of these names are levels of the topology, as people write them. */
const TOPOLOGY_LEVELS = ["region", "zone", "rack"] as const;

/** Taints that the server adds: of a cordoned node, and of one that falls silent again and again. */
const CORDONED = "cordoned";
const FLAPPING = "flapping";
/** They are about choices: what belongs to that very node (global services, members of pods) tolerates them. */
export const OWN_TAINTS: readonly Toleration[] = [{ key: CORDONED }, { key: FLAPPING }];

/** A node without a report has nothing to give; it is listed so that refusals can name it. */
export function nodeModel(
  node: Node,
  status: NodeStatus | undefined,
  kinds: DeviceKinds,
): NodeModel {
  const capacity = status?.capacity;
  const reserved = status?.reserved ?? { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };
  return {
    id: node.name,
    cpuMillis: capacity?.cpuMillis ?? 0,
    memoryBytes: capacity?.memoryBytes ?? 0,
    diskBytes: capacity?.diskBytes ?? 0,
    ...(capacity === undefined || capacity.pids === 0 ? {} : { pidsMax: capacity.pids }),
    ...nodeCountables(node.countables ?? {}, status, kinds),
    labels: node.labels,
    topology: Object.fromEntries(
      TOPOLOGY_LEVELS.flatMap((level) => {
        const domain = node.labels[level];
        return domain === undefined ? [] : [[level, domain] as const];
      }),
    ),
    taints: taintsOf(node),
    platform: status?.platform ?? { os: "linux", architecture: "amd64" },
    reserved,
    ready: node.contact === "up" && status?.engine.reachable === true && !status.diskPressure,
    draining: node.availability === "draining",
    images: Object.fromEntries(
      // By identifier and by the digests of registries: a release names an image by either.
      (status?.images ?? []).flatMap(({ id, sizeBytes, names }) =>
        [id, ...names.filter((name) => name.includes("@"))].map((name) => [name, sizeBytes]),
      ),
    ),
    volumes: [],
    addresses: [],
  };
}

/** The key of the first taint that moves copies away which tolerate no more than `tolerations`. */
export function evictingTaint(
  { taints = {} }: Node,
  tolerations: readonly Toleration[] = [],
): string | undefined {
  const found = Object.entries(taints).find(([key, taint]) => {
    return taint.effect === "no-execute" && !tolerates(tolerations, { key, ...taint });
  });
  return found?.[0];
}

function taintsOf({ availability, heldBackUntil, taints = {} }: Node): Taint[] {
  const stated = Object.entries(taints).map(([key, taint]): Taint => ({ key, ...taint }));
  return [
    ...stated,
    ...(availability === "cordoned" ? [{ key: CORDONED, effect: "no-schedule" } as const] : []),
    // A bad line makes all nodes flap at once: a place that may be lost again is better than none.
    ...(heldBackUntil === undefined
      ? []
      : [{ key: FLAPPING, effect: "prefer-no-schedule" } as const]),
  ];
}
