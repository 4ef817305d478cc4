/**
 * What a node's `net` process is told: everything that names, requests and isolation on this node depend
 * on, as plain data, whole every time. The agent computes it from the task and network states that it
 * knows; `net` applies it, keeps it on disk and loads it again after a crash, without the agent.
 *
 * Invariants: a model is complete (what it does not list does not exist); its generation only grows; a
 * name exists from the moment that the service is declared, its addresses only while endpoints are ready.
 * Everything here has passed `parseModel` (model-parse.ts), also what is read back from disk.
 *
 * Design page: docs/design/network.md
 */

import type { CertificateModel, IngressModel, IngressTarget } from "./ingress-model.ts";
import type { ServiceName } from "./service-name.ts";

export type * from "./ingress-model.ts";

/** Format of `NodeNetworkModel`; a `net` refuses a model of a format that it does not know. */
export const MODEL_FORMAT = 1;

/** The whole state that a node's data plane follows. Writer of every field: the agent. */
export interface NodeNetworkModel {
  readonly format: typeof MODEL_FORMAT;
  /**
   * Grows with every change, also over restarts of the agent: see `nextGeneration`. `net` refuses a model
   * with a smaller one; the same one again is answered with the report of the first time.
   */
  readonly generation: number;
  /** `id`: 1 to 8 of `a-z0-9`; it is part of the firewall table's name, so that two clusters share a host. */
  readonly cluster: { readonly id: string };
  /** Last label of full names: `berth` in `web.shop.main.default.berth`. Never forwarded. */
  readonly domain: string;
  readonly networks: readonly NetworkModel[];
  readonly services: readonly ServiceModel[];
  readonly endpoints: readonly EndpointModel[];
  readonly attachments: readonly AttachmentModel[];
  readonly ingress: IngressModel;
  /**
   * DNS servers, IPv4 or IPv6 with an optional `#port` (`10.0.0.2`, `10.0.0.2#5353`), asked in this order
   * for names that are not ours: from the host's resolv.conf. Empty: such names do not exist (air-gapped).
   */
  readonly forwarders: readonly string[];
  readonly hostPolicy: HostPolicyModel;
  /**
   * Where names are answered for the host itself and for containers on its network: an address of 127.0.0.0/8
   * and a port. Full names of every network of the node. Omitted: nowhere.
   */
  readonly hostDns?: HostDnsModel;
  /** For TLS that ends on this node. Omitted: none. Never written to a disk. */
  readonly certificates?: readonly CertificateModel[];
  /**
   * Of the ACME account's key: HAProxy answers `/.well-known/acme-challenge/TOKEN` on the HTTP port with
   * `TOKEN.thumbprint`, before every route. Omitted: such paths are like all others.
   */
  readonly acmeThumbprint?: string;
  /** Published UDP ports: DNAT in our own table, not HAProxy's. Omitted: none. */
  readonly udpPorts?: readonly UdpPortModel[];
  /** Where other nodes reach this one. Omitted: no network of this node spans hosts. */
  readonly underlay?: UnderlayModel;
}

/** A node on the network of the hosts. */
export interface UnderlayModel {
  /** IPv4 address. */
  readonly address: string;
  /** UDP port on which the node takes VXLAN packets. */
  readonly port: number;
}

/** A network that this node carries, or will carry as soon as its bridge exists. */
export interface NetworkModel {
  readonly id: string;
  readonly project: string;
  readonly environment: string;
  /** Stack that declared it; the view of an asker without an attachment is that stack's. */
  readonly stack: string;
  /** Name in the stack file: `default`, `backend`. */
  readonly name: string;
  /** Interface name of the bridge, 1 to 15 characters, unique in the model. */
  readonly bridge: string;
  /** IPv4 CIDR, `10.210.3.0/24`; no two networks overlap. */
  readonly subnet: string;
  /** Address of the bridge on this node, inside `subnet`: DNS answers here, port 53. */
  readonly gateway: string;
  /** IPv6 CIDR where the network has IPv6, `fd6b:1:2:3::/64`; no two networks overlap. */
  readonly subnet6?: string;
  /** IPv6 address of the bridge on this node, inside `subnet6`; set if and only if `subnet6` is. */
  readonly gateway6?: string;
  /**
   * Range that addresses of services on this network are from, outside all networks: a connection to an
   * address of it that no ready copy stands behind is refused at once.
   */
  readonly serviceRange?: string;
  /** As `serviceRange`, IPv6. */
  readonly serviceRange6?: string;
  /** No way out of the network at all but DNS; not even to published ports. */
  readonly internal: boolean;
  /**
   * How it reaches other nodes; only where the model has an `underlay`. Omitted: it ends at this node, or its
   * bridge is not there yet.
   */
  readonly overlay?: OverlayModel;
}

/** A network that spans hosts, as one node takes part in it. */
export interface OverlayModel {
  /** VXLAN identifier, 1 to 16,777,215, unique in the cluster. */
  readonly id: number;
  /** Largest packet inside the network, bytes: 50 less than what the hosts' network carries. */
  readonly mtu: number;
  /** Address of this node in the network: what the host itself asks copies on other nodes by. */
  readonly nodeAddress: string;
  /** MAC address of the bridge on this node. */
  readonly mac: string;
  /** The other nodes that take part. */
  readonly peers: readonly PeerModel[];
}

/** Another node in a network. */
export interface PeerModel extends UnderlayModel {
  readonly node: string;
  /** Its address in the network, as `OverlayModel.nodeAddress`. */
  readonly nodeAddress: string;
  readonly mac: string;
}

/** A declared service on the networks that this node carries, with or without running copies. */
export interface ServiceModel extends ServiceName {
  readonly networks: readonly ServiceNetworkModel[];
  /** `vip`: the name answers `virtualAddress` where one is set; `dnsrr`: always the copies' addresses. */
  readonly endpointMode: "vip" | "dnsrr";
  /** Ports for SRV records. */
  readonly ports: readonly ServicePortModel[];
  /** Connections of one source to the service address go to one copy. Omitted: each to any copy. */
  readonly affinity?: AffinityModel;
}

/** How connections to a service address stay together. */
export interface AffinityModel {
  readonly kind: "source";
  /** The source is forgotten after this time without a new connection, milliseconds. */
  readonly timeoutMs: number;
}

export interface ServiceNetworkModel {
  readonly networkId: string;
  /** Further names on this network, besides the service's own. */
  readonly aliases: readonly string[];
  /** Service address on this network (outside all subnets); omitted: the name answers the copies. */
  readonly virtualAddress?: string;
  /** As `virtualAddress`, IPv6. */
  readonly virtualAddress6?: string;
}

export interface ServicePortModel {
  /** For `_name._tcp`; `_80._tcp` is answered always. */
  readonly name?: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

/**
 * A copy that passed its checks, on one network. Leaving is two steps: `draining` (no name, no new
 * request, connections live on), then absent (its container is about to go or is gone).
 */
export interface EndpointModel extends ServiceName {
  /** Ordinal of the copy: `web-1` answers the address of slot 1. */
  readonly slot: number;
  readonly taskId: string;
  readonly networkId: string;
  readonly address: string;
  /** IPv6 address on the network, where that has IPv6. */
  readonly address6?: string;
  readonly state: "ready" | "draining";
  /** Its container is on another node. */
  readonly remote?: boolean;
  /** Compose `hostname`; answered as a name of this copy unless a service has that name. */
  readonly hostname?: string;
}

/** Address of a task on a network from before its container starts until its removal is confirmed. */
export interface AttachmentModel extends ServiceName {
  readonly networkId: string;
  readonly address: string;
  /** IPv6 address on the network, where that has IPv6. */
  readonly address6?: string;
  readonly mac: string;
  readonly taskId: string;
  readonly slot: number;
  /** Its container is on another node. */
  readonly remote?: boolean;
  /** Name of that node, a peer of the network's overlay where it has one. */
  readonly node?: string;
}

/** A UDP port of the host; datagrams keep their source, those of one flow go to one ready copy. */
export interface UdpPortModel {
  readonly id: string;
  /** IPv4 address of the host; `0.0.0.0` for all. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly target: IngressTarget;
}

/** Where the host asks for names. */
export interface HostDnsModel {
  readonly address: string;
  readonly port: number;
}

/** What containers may reach of the host besides DNS and published ports. */
export interface HostPolicyModel {
  /** Ports of the host that containers of non-internal networks may reach. Normally empty. */
  readonly openPorts: readonly { readonly protocol: "tcp" | "udp"; readonly port: number }[];
  /** Lets containers reach 169.254.169.254 (a cloud's metadata, with its credentials). Normally false. */
  readonly metadataAccess: boolean;
}

/** Key of a service: what `endpoints`, targets and attachments of one service have in common. */
export function serviceKey(name: ServiceName): string {
  return `${name.project}/${name.environment}/${name.stack}/${name.service}`;
}

/**
 * The generation for the next model: larger than `known` (the largest that anybody reported, 0 at first),
 * and by the clock larger than what an earlier life of the agent used, as long as that made fewer than a
 * thousand models a second.
 */
export function nextGeneration(known: number, nowMs: number): number {
  return Math.max(known + 1, Math.floor(nowMs) * 1000);
}

/** A model that carries nothing: what `net` follows before it has ever been told. */
export function emptyModel(clusterId: string): NodeNetworkModel {
  return {
    format: MODEL_FORMAT,
    generation: 0,
    cluster: { id: clusterId },
    domain: "berth",
    networks: [],
    services: [],
    endpoints: [],
    attachments: [],
    ingress: {
      httpPort: 80,
      bindAddress: "0.0.0.0",
      httpRoutes: [],
      tcpPorts: [],
      drainTimeoutMs: 30_000,
    },
    forwarders: [],
    hostPolicy: { openPorts: [], metadataAccess: false },
  };
}
