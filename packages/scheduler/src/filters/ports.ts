/**
 * A host port belongs to one task. Two claims conflict when protocol and port are equal and their
 * addresses may be the same; an address must be one of the node's, where the node lists any.
 */

import { type Check, type Filter, type Finding, holdersOf, verb, whoHolds } from "../filter.ts";
import type { HostPort } from "../model.ts";
import type { NodeState } from "../node-state.ts";

export const ports: Filter = {
  rule: "ports",
  prepare: ({ ask }) =>
    (ask.ports ?? []).flatMap((port): readonly Check[] => [
      (node) => foreignAddress(port, node),
      (node) => takenBySystem(port, node),
      (node) => takenByTasks(port, node),
    ]),
  describe: ({ count, about, holder, holders }) => {
    if (about.startsWith(ADDRESS)) return `${verb(count, "does", "do")} not have ${about}`;
    const who = holder === undefined ? "" : ` by ${whoHolds(holder, holders)}`;
    return `${verb(count, "has", "have")} port ${about} taken${who}`;
  },
  remedy: ({ about, holder, holders, node }) => {
    if (about.startsWith(ADDRESS)) return `${node} had ${about}`;
    return holder === undefined
      ? `port ${about} were free on ${node}`
      : `${whoHolds(holder, holders)} let go of port ${about} on ${node}`;
  },
};

const ADDRESS = "address ";

/** Do the two claims exclude each other on one node? */
export function portsConflict(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.port !== b.port) return false;
  return isEvery(a.address) || isEvery(b.address) || a.address === b.address;
}

function isEvery(address: string | undefined): address is undefined {
  return address === undefined || address === "0.0.0.0" || address === "::" || address === "";
}

function foreignAddress(port: HostPort, node: NodeState): Finding | undefined {
  const { addresses } = node.model;
  if (isEvery(port.address) || isLoopback(port.address) || addresses.length === 0) return undefined;
  return addresses.includes(port.address) ? undefined : { about: ADDRESS + port.address };
}

/** Every node has it. */
function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

function takenBySystem(port: HostPort, node: NodeState): Finding | undefined {
  const taken = (node.model.portsTaken ?? []).some((other) => portsConflict(other, port));
  return taken ? { about: name(port) } : undefined;
}

function takenByTasks(port: HostPort, node: NodeState): Finding | undefined {
  const holders = node.held.filter((held) =>
    (held.claims.ports ?? []).some((other) => portsConflict(other, port)),
  );
  if (holders.length === 0) return undefined;
  return { about: name(port), ...holdersOf(holders.map((held) => held.claims.id)) };
}

function name({ port, protocol }: HostPort): string {
  return `${port}/${protocol}`;
}
