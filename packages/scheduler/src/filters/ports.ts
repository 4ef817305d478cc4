/**
 * A host port belongs to one task. Two claims conflict when protocol and port are equal and their
 * addresses may be the same; an address must be one of the node's, where the node lists any.
 */

import { compareText, type NodeState } from "../cluster-state.ts";
import { type Filter, type Finding, verb } from "../filter.ts";
import type { HostPort } from "../model.ts";

export const ports: Filter = {
  rule: "ports",
  prepare: ({ ask }) =>
    (ask.ports ?? []).map((port) => (node) => foreignAddress(port, node) ?? conflict(port, node)),
  describe: ({ count, about, holder }) => {
    if (about.startsWith(ADDRESS)) return `${verb(count, "does", "do")} not have ${about}`;
    const who = holder === undefined ? "" : ` by ${holder}`;
    return `${verb(count, "has", "have")} port ${about} taken${who}`;
  },
  remedy: ({ about, holder, node }) => {
    if (about.startsWith(ADDRESS)) return `${node} had ${about}`;
    return holder === undefined
      ? `port ${about} were free on ${node}`
      : `${holder} let go of port ${about} on ${node}`;
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

function conflict(port: HostPort, node: NodeState): Finding | undefined {
  const about = `${port.port}/${port.protocol}`;
  const system = node.model.portsTaken ?? [];
  if (system.some((taken) => portsConflict(taken, port))) return { about };
  let holder: string | undefined;
  for (const [id, held] of node.held) {
    if (!(held.claims.ports ?? []).some((taken) => portsConflict(taken, port))) continue;
    if (holder === undefined || compareText(id, holder) < 0) holder = id;
  }
  return holder === undefined ? undefined : { about, holder };
}
