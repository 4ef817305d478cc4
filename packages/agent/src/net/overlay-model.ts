/**
 * How this node's networks reach other nodes, from what the server told of the nodes that take part: the part of
 * the model that VXLAN follows. Pure; O(nodes of the networks).
 */

import type { NetworkModel, OverlayModel, PeerModel, UnderlayModel } from "@berth/network";
import { keys, type NetworkPeer, overlayMtu, type Underlay } from "@berth/protocol";

export interface OverlaySource {
  /** Where this node is reached. */
  readonly underlay: Underlay;
  readonly node: string;
  /** All nodes of networks that this node carries, itself included. */
  readonly peers: readonly NetworkPeer[];
  /** The bridge is there on the host: before, nothing can lead through it. */
  readonly hasBridge: (name: string) => boolean;
}

/** By network. One in which this node has no address yet is not among them. */
export function overlayModels(
  source: OverlaySource | undefined,
): ReadonlyMap<string, OverlayModel> {
  const models = new Map<string, OverlayModel>();
  if (source === undefined) return models;
  for (const [networkId, nodes] of byNetwork(source.peers)) {
    const own = nodes.find(({ node }) => node === source.node);
    if (own === undefined) continue;
    const peers = nodes.filter((each) => each !== own).map(peerModel);
    const { overlayId: id, nodeAddress, mac } = own;
    models.set(networkId, { id, mtu: mtuOf(nodes), nodeAddress, mac, peers });
  }
  return models;
}

/** Of the node, where one of its networks spans hosts. */
export function underlayOf(
  source: OverlaySource | undefined,
  networks: readonly NetworkModel[],
): UnderlayModel | undefined {
  if (source === undefined || !networks.some(({ overlay }) => overlay !== undefined)) {
    return undefined;
  }
  const { address, port } = source.underlay;
  return { address, port };
}

/** The largest packet inside the network that each of its nodes carries; at least one. */
export function mtuOf(peers: readonly NetworkPeer[]): number {
  return overlayMtu(peers.map(({ underlay }) => underlay.mtu));
}

/** The nodes of a network. */
export function peersOf(peers: Iterable<NetworkPeer>, networkId: string): NetworkPeer[] {
  return [...peers].filter((peer) => peer.networkId === networkId);
}

/** This node in a network. */
export function ownPeer(
  peers: ReadonlyMap<string, NetworkPeer>,
  networkId: string,
  node: string,
): NetworkPeer | undefined {
  return peers.get(keys.networkPeer(networkId, node));
}

/** Networks whose routes `node` answers, with and without a copy. */
export function ingressNetworks(peers: Iterable<NetworkPeer>, node: string): ReadonlySet<string> {
  const own = [...peers].filter((peer) => peer.node === node && peer.ingress === true);
  return new Set(own.map(({ networkId }) => networkId));
}

function byNetwork(peers: Iterable<NetworkPeer>): ReadonlyMap<string, NetworkPeer[]> {
  const sorted = [...peers].sort((a, b) => (a.node < b.node ? -1 : 1));
  return Map.groupBy(sorted, ({ networkId }) => networkId);
}

function peerModel({ node, nodeAddress, mac, underlay }: NetworkPeer): PeerModel {
  const { address, port } = underlay;
  return { node, nodeAddress, mac, address, port };
}
