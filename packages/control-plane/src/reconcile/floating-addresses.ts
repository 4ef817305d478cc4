/**
 * Who has which floating address by choice: the nodes for requests from outside take turns, so that several addresses
 * are on several nodes, and whoever is lost is followed by the next in its order. Which of them really has it is decided
 * among the nodes themselves (VRRP), by the highest priority that can. Pure.
 *
 * A node that is being drained has no part: the address leaves it before its copies do. A silent one keeps its part,
 * since the others decide without it. Cost: O(addresses × nodes); nothing while there is no floating address.
 * Design page: docs/design/ingress.md.
 */

import { type FloatingAddress, type FloatingPart, keys } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { ingressNodes } from "./ingress-nodes.ts";

/** Nodes that share one address: each is another's peer, and priorities are few. */
export const FLOATING_NODES_MAX = 32;
/** Of the first; each next has one less. 255 is whoever owns an address for ever. */
const PRIORITY_FIRST = 250;

/** Floating addresses in a fixed order. */
export function floatingAddresses(view: ClusterView): FloatingAddress[] {
  const all = view.floatingAddresses.all().map(({ value }) => value);
  return all.sort((a, b) => a.createdAt - b.createdAt || (a.address < b.address ? -1 : 1));
}

/** Nodes that may have the address of this place in the order, the one that has it by choice first. */
export function floatingNodes(view: ClusterView, place: number): string[] {
  return orderOf(view, place).filter((name) => !isDraining(view, name));
}

/** With those that are drained: what the others are told stays as it is, and nothing of theirs begins anew. */
function orderOf(view: ClusterView, place: number): string[] {
  const nodes = [...ingressNodes(view)].sort().slice(0, FLOATING_NODES_MAX);
  const first = nodes.length === 0 ? 0 : place % nodes.length;
  return [...nodes.slice(first), ...nodes.slice(0, first)];
}

/** What `node` is told: its part in each address. */
export function floatingParts(view: ClusterView, node: string): FloatingPart[] {
  if (view.floatingAddresses.size === 0 || isDraining(view, node)) return [];
  return floatingAddresses(view).flatMap((floating, place) => {
    const nodes = orderOf(view, place);
    const rank = nodes.indexOf(node);
    if (rank < 0) return [];
    const peers = nodes.filter((name) => name !== node).flatMap((name) => reachedAt(view, name));
    const { createdAt: _createdAt, ...rest } = floating;
    return [{ ...rest, priority: PRIORITY_FIRST - rank, peers }];
  });
}

function isDraining(view: ClusterView, node: string): boolean {
  return view.nodes.get(keys.node(node))?.value.availability === "draining";
}

function reachedAt(view: ClusterView, node: string): string[] {
  const address = view.nodeStatuses.get(keys.nodeStatus(node))?.value.underlay?.address;
  return address === undefined ? [] : [address];
}
