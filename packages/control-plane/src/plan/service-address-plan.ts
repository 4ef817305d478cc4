/**
 * The address of a service on a network, claimed in the transaction of the first task that needs it. Others
 * that start meanwhile expect the same claim: of two plans that would choose, one fails and is made anew.
 */

import { keys, type Network, stackKey } from "@berth/protocol";
import {
  addressOfClaim,
  chooseServiceAddress,
  serviceAddressHolder,
} from "../addresses/service-addresses.ts";
import { serviceRangeOf } from "../addresses/service-range.ts";
import { formatSubnet, parsePart } from "../addresses/subnet.ts";
import { serviceAddressTerm } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import { type Obstacle, obstacle, type PlanContext } from "./plan-context.ts";
import type { Unit } from "./unit.ts";

/** Makes sure that the service has an address on the network; an obstacle when none is free. */
export function ensureServiceAddress(
  context: PlanContext,
  { service, network }: { readonly service: string; readonly network: Network },
  unit: Unit,
): Obstacle | undefined {
  const { view, stack, settings } = context.input;
  const wish = { stack: stackKey(stack.value), service, network: network.id };
  const term = serviceAddressTerm(wish);
  const [known] = view.claims.by("service-address", term);
  if (known !== undefined) {
    unit.expect(known.key, known.revision);
    return undefined;
  }
  if (context.serviceAddresses.has(term)) return undefined;
  // A network keeps the range that it was made with: its nodes have rules for that.
  const range =
    network.serviceRange === undefined ? serviceRangeOf(settings) : parsePart(network.serviceRange);
  if (range === undefined) return undefined;
  const planned = new Set([...context.serviceAddresses.values()].map(addressOfClaim));
  const address = chooseServiceAddress(view, range, { service: wish, planned });
  if (address === undefined) {
    const used = view.claims.by("kind", "service-address").length;
    const message = `no address for service ${service} on network ${network.name}: ${formatSubnet(range)} is full (${used} addresses)`;
    return obstacle("address", message);
  }
  const key = keys.claim({ kind: "service-address", address });
  unit.expect(key, undefined);
  unit.put(key, encode(serviceAddressHolder(wish)));
  context.serviceAddresses.set(term, key);
  return undefined;
}
