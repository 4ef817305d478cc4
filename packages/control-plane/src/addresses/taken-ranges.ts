/**
 * IPv4 ranges that no new network can have, each with who has it: other networks, the addresses of services,
 * and what the nodes' hosts use themselves. Pure. Cost: O(networks + ranges of hosts).
 */

import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { serviceRangeText } from "./service-range.ts";
import { parsePart, type Subnet } from "./subnet.ts";

export interface TakenRange extends Subnet {
  /** `network backend of shop`, `eth0 of node-1`. */
  readonly who: string;
  /** A host has it, on an interface or by a route. */
  readonly isHost: boolean;
}

export function takenRanges(
  view: ClusterView,
  settings: Pick<ControlPlaneSettings, "clusterRange" | "serviceRange">,
): TakenRange[] {
  const taken: TakenRange[] = [];
  const take = (who: string, text: string, isHost = false) => {
    const range = parsePart(text);
    if (range !== undefined) taken.push({ ...range, who, isHost });
  };
  for (const { value } of view.networks.all()) {
    take(`network ${value.name} of ${value.stack}`, value.subnet);
  }
  take("the range of service addresses", serviceRangeText(settings) ?? "");
  for (const { value: status } of view.nodeStatuses.all()) {
    for (const host of status.hostRanges ?? []) {
      take(`${host.interface} of ${status.name}`, host.range, true);
    }
  }
  return taken;
}
