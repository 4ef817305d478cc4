/** Addresses by which others may reach this machine. */

import { networkInterfaces } from "node:os";

/** Interfaces of container engines and of our networks: nobody outside reaches what has an address there. */
const INSIDE = /^(bt|br-|docker|veth|lo)/;

/** IPv4, in the order of the interfaces; none on a machine without a network. */
export function ownAddresses(): string[] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !INSIDE.test(name))
    .flatMap(([, list]) => list ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address);
}
