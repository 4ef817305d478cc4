/** Which interface a floating address belongs to. Pure; O(interfaces). */

import type { FloatingModel } from "../ingress-model.ts";

/** An address of the host: `eth0`, `192.0.2.4/24`. */
export interface HostInterface {
  readonly name: string;
  readonly cidr: string;
}

/** The one that is named, else the one with the narrowest range around the address; `undefined`: there is none. */
export function interfaceFor(
  { address, interface: wish }: Pick<FloatingModel, "address" | "interface">,
  interfaces: readonly HostInterface[],
): string | undefined {
  if (wish !== undefined) return interfaces.find(({ name }) => name === wish)?.name;
  const host = numberOf(address);
  const around = interfaces.filter(({ cidr }) => {
    // The address itself, which the host may have now, says nothing about where it belongs.
    if (numberOf(cidr) === host) return false;
    const size = 2 ** (32 - prefixOf(cidr));
    return Math.floor(host / size) === Math.floor(numberOf(cidr) / size);
  });
  return around.sort((a, b) => prefixOf(b.cidr) - prefixOf(a.cidr))[0]?.name;
}

function prefixOf(cidr: string): number {
  return Number(cidr.split("/")[1]);
}

function numberOf(cidr: string): number {
  const octets = (cidr.split("/", 1)[0] ?? "").split(".").map(Number);
  return octets.reduce((sum, octet) => sum * 256 + octet, 0);
}
