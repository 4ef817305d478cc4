/**
 * Addresses of services: one for each service and network, from the first task of the service there until
 * no release that the stack may go to has it there. It survives releases, tasks and nodes.
 *
 * Where the search begins is a function of network and service: a service that is removed and deployed again
 * is likely to have the address that it had, and two plans at once seldom choose the same. Cost: O(1) while
 * the range is not crowded.
 */

import { keys } from "@berth/protocol";
import type { ClaimHolder } from "../state/claim-holder.ts";
import { type ClusterView, serviceAddressTerm } from "../state/cluster-tables.ts";
import { formatAddress, type Subnet, sizeOf } from "./subnet.ts";

export interface ServiceOnNetwork {
  /** `default/main/shop` */
  readonly stack: string;
  readonly service: string;
  readonly network: string;
}

/** The address that the service has on the network. */
export function serviceAddressOf(view: ClusterView, service: ServiceOnNetwork): string | undefined {
  const [claim] = view.claims.by("service-address", serviceAddressTerm(service));
  return claim && addressOfClaim(claim.key);
}

/** The last segment of the claim's key. */
export function addressOfClaim(key: string): string {
  return decodeURIComponent(key.slice(key.lastIndexOf("/") + 1));
}

/** A free address of `range`; `undefined` when there is none. `planned`: given out by this plan. */
export function chooseServiceAddress(
  view: ClusterView,
  range: Subnet,
  wish: { readonly service: ServiceOnNetwork; readonly planned: ReadonlySet<string> },
): string | undefined {
  const size = sizeOf(range.prefix);
  const start = hash(serviceAddressTerm(wish.service)) % size;
  for (let step = 0; step < size; step++) {
    const offset = (start + step) % size;
    // The first and the last look like a network's own and its broadcast: some programs refuse them.
    if (offset === 0 || offset === size - 1) continue;
    const address = formatAddress(range.base + offset);
    if (wish.planned.has(address)) continue;
    if (view.claims.get(keys.claim({ kind: "service-address", address })) === undefined) {
      return address;
    }
  }
  return undefined;
}

/** What the claim of an address says. */
export function serviceAddressHolder({ stack, service, network }: ServiceOnNetwork): ClaimHolder {
  return { stack, service, network };
}

/** FNV-1a, 32 bits: spreads names evenly, the same on every server. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
