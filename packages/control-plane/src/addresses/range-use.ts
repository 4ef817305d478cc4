/** How full the cluster's ranges are: for figures, before the first deploy fails. Pure; O(networks). */

import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { serviceRangeOf } from "./service-range.ts";
import { parsePart, parseSubnet, type Subnet, sizeOf, subnetsOverlap } from "./subnet.ts";

export interface RangeUse {
  readonly range: "networks" | "services";
  /** Addresses of the range. Networks share theirs with the services' when that lies inside. */
  readonly total: number;
  /** Addresses that networks have, or services; quarantine included. */
  readonly used: number;
}

export function rangeUses(
  view: ClusterView,
  settings: Pick<ControlPlaneSettings, "clusterRange" | "serviceRange">,
): RangeUse[] {
  const cluster = parseSubnet(settings.clusterRange);
  const services = serviceRangeOf(settings);
  const uses: RangeUse[] = [];
  if (cluster !== undefined) {
    const isShared = services !== undefined && subnetsOverlap(services, cluster);
    const total = sizeOf(cluster.prefix) - (isShared ? sizeOf(services.prefix) : 0);
    uses.push({ range: "networks", total, used: addressesOfNetworks(view, cluster) });
  }
  if (services !== undefined) {
    const used = view.claims.by("kind", "service-address").length;
    uses.push({ range: "services", total: sizeOf(services.prefix), used });
  }
  return uses;
}

/** Networks whose file states a range elsewhere take nothing from the cluster's. */
function addressesOfNetworks(view: ClusterView, cluster: Subnet): number {
  let used = 0;
  for (const { value } of view.networks.all()) {
    const range = parsePart(value.subnet);
    if (range !== undefined && subnetsOverlap(range, cluster)) used += sizeOf(range.prefix);
  }
  return used;
}
