/**
 * How this node's networks reach other nodes: a pure function from the model to VXLAN interfaces, forwarding
 * entries and neighbours.
 *
 * Nothing is learned and nothing is flooded: where an address is follows from the attachments, so a frame goes
 * to the one node that has it, and a question for a neighbour is answered by the bridge itself. The gateway
 * has the same address on every node and is never among the entries: each bridge answers for itself.
 *
 * Cost: O(attachments of networks that span hosts). Design page: docs/design/network-hosts.md
 */

import { overlayPortName } from "../interfaces.ts";
import type { NetworkModel, NodeNetworkModel, OverlayModel, UnderlayModel } from "../model.ts";

/** What of the model this part follows. */
export type OverlayInput = Pick<
  NodeNetworkModel,
  "generation" | "cluster" | "networks" | "attachments" | "underlay"
>;

/** A VXLAN interface and what its bridge needs for it. */
export interface OverlayLink {
  readonly bridge: string;
  readonly id: number;
  readonly port: number;
  /** Address of this host that packets come from. */
  readonly local: string;
  readonly mtu: number;
  /** Of the bridge. */
  readonly mac: string;
}

/** All that the kernel is to have. */
export interface OverlayState {
  /** By interface name. */
  readonly links: ReadonlyMap<string, OverlayLink>;
  /** `interface mac` → `address port` of the node: where the interface sends frames. */
  readonly forwards: ReadonlyMap<string, string>;
  /** `bridge address` → MAC address: what the bridge answers for others. */
  readonly neighbors: ReadonlyMap<string, string>;
  /** `bridge address`: addresses of this node in its networks. */
  readonly addresses: ReadonlySet<string>;
}

export const NO_OVERLAYS: OverlayState = {
  links: new Map(),
  forwards: new Map(),
  neighbors: new Map(),
  addresses: new Set(),
};

/** A network that spans hosts. */
export type SpanningNetwork = NetworkModel & { readonly overlay: OverlayModel };

/** Those of the model, with where this node is reached. */
export function spanningNetworks({
  networks,
  underlay,
}: Pick<OverlayInput, "networks" | "underlay">): readonly SpanningNetwork[] {
  if (underlay === undefined) return [];
  return networks.flatMap(({ overlay, ...network }) =>
    overlay === undefined ? [] : [{ ...network, overlay }],
  );
}

export function overlayState(input: OverlayInput): OverlayState {
  const { underlay } = input;
  if (underlay === undefined) return NO_OVERLAYS;
  const links = new Map<string, OverlayLink>();
  const forwards = new Map<string, string>();
  const neighbors = new Map<string, string>();
  const addresses = new Set<string>();
  const places = new Map<string, Place>();
  for (const { id, bridge, overlay } of spanningNetworks(input)) {
    const name = overlayPortName(bridge);
    links.set(name, {
      ...{ bridge, id: overlay.id, port: underlay.port, local: underlay.address },
      ...{ mtu: overlay.mtu, mac: overlay.mac.toLowerCase() },
    });
    addresses.add(`${bridge} ${overlay.nodeAddress}`);
    const nodes = new Map<string, UnderlayModel>(overlay.peers.map((peer) => [peer.node, peer]));
    places.set(id, { name, bridge, nodes, own: ownAddresses(input, id) });
    for (const peer of overlay.peers) {
      forwards.set(`${name} ${peer.mac.toLowerCase()}`, doorOf(peer));
      neighbors.set(`${bridge} ${peer.nodeAddress}`, peer.mac.toLowerCase());
    }
  }
  for (const { networkId, node, address, address6, mac } of input.attachments) {
    const place = places.get(networkId);
    const peer = node === undefined ? undefined : place?.nodes.get(node);
    // An address that has come to this node may be told of the other for a moment longer.
    if (place === undefined || peer === undefined || place.own.has(address)) continue;
    forwards.set(`${place.name} ${mac.toLowerCase()}`, doorOf(peer));
    neighbors.set(`${place.bridge} ${address}`, mac.toLowerCase());
    if (address6 !== undefined) neighbors.set(`${place.bridge} ${address6}`, mac.toLowerCase());
  }
  return { links, forwards, neighbors, addresses };
}

interface Place {
  readonly name: string;
  readonly bridge: string;
  readonly nodes: ReadonlyMap<string, UnderlayModel>;
  /** Addresses of tasks of this node. */
  readonly own: ReadonlySet<string>;
}

function ownAddresses({ attachments }: OverlayInput, networkId: string): ReadonlySet<string> {
  const own = attachments.filter((each) => each.networkId === networkId && each.remote !== true);
  return new Set(own.map(({ address }) => address));
}

function doorOf({ address, port }: UnderlayModel): string {
  return `${address} ${port}`;
}
