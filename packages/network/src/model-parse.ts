/**
 * The border of `net`: turns what came over the socket or from the disk into a `NodeNetworkModel`, or
 * says what is wrong with it. Everything behind it may rely on the form (names are safe in HAProxy and nft
 * text, addresses are addresses) and on the references (networks named exist, ranges do not overlap).
 *
 * A route, alias or copy that is not as it should be is left out and reported: one stack's mistake never
 * stops another's changes. What isolation rests on (networks) is strict: such a model is refused and changes
 * nothing. Cost: O(size), and O(n²) in the number of networks for the overlap.
 */

import { isIP, isIPv6 } from "node:net";
import {
  certificatesShape,
  ingressShape,
  ROUTES_MAX,
  targetShape,
  thumbprintShape,
} from "./ingress-parse.ts";
import { ipv4InRange, ipv4RangesOverlap, parseIpv4, parseIpv4Range } from "./ipv4.ts";
import {
  type AffinityModel,
  type AttachmentModel,
  type EndpointModel,
  type HostPolicyModel,
  MODEL_FORMAT,
  type NetworkModel,
  type NodeNetworkModel,
  type OverlayModel,
  type PeerModel,
  type ServiceModel,
  type ServiceNetworkModel,
  type ServicePortModel,
  serviceKey,
  type UdpPortModel,
  type UnderlayModel,
} from "./model.ts";
import {
  ADDRESS,
  HOST_NAME,
  ID,
  isDnsName,
  NAME,
  PORT,
  SERVICE,
  SMALL_LIST_MAX,
  STACK,
} from "./model-shapes.ts";
import {
  type Drop,
  flag,
  integer,
  list,
  oneOf,
  record,
  refuse,
  type Shape,
  ShapeError,
  text,
  textWhere,
  tolerantList,
} from "./shape.ts";

export type ModelResult =
  | {
      readonly ok: true;
      readonly model: NodeNetworkModel;
      /** What was left out, each as a problem of the part that would have followed it. */
      readonly dropped: readonly DroppedItem[];
    }
  | { readonly ok: false; readonly reason: string };

/** An item of the model that was left out. */
export interface DroppedItem {
  /** `model.ingress.httpRoutes[3]` */
  readonly path: string;
  readonly reason: string;
}

/** Told for each refused model or report; more would help nobody. */
const DROPPED_MAX = 100;
/** Bridges of one node: the kernel and the per-network sockets carry this many without strain. */
export const NETWORKS_MAX = 1_000;
/** Services a node can see: all services of its networks. */
export const SERVICES_MAX = 20_000;
/** Endpoints and attachments of the networks that a node carries. */
export const ENDPOINTS_MAX = 100_000;
/** Nodes of one network: each is an entry in rules and tables of every other. */
export const PEERS_MAX = 5_000;
/** Identifiers have 24 bits; 0 means none. */
const OVERLAY_ID_MAX = 2 ** 24 - 1;
/** Below, IPv6 does not work; above, no Ethernet carries it. */
const OVERLAY_MTU_MIN = 1_280;
const OVERLAY_MTU_MAX = 65_485;
/** Resolvers of a host: libc reads three; more would only stretch the time of a failure. */
const FORWARDERS_MAX = 8;

const BRIDGE = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/, "an interface name");
const SUBNET = textWhere((value) => parseIpv4Range(value) !== undefined, "an IPv4 network");
const ADDRESS6 = textWhere((value) => isIPv6(value) && !value.includes("%"), "an IPv6 address");
/** Nobody outside the host can send to it. */
const LOOPBACK_ADDRESS = textWhere(
  (value) => parseIpv4(value) !== undefined && value.startsWith("127."),
  "an address of 127.0.0.0/8",
);
const SUBNET6 = textWhere(isIpv6Range, "an IPv6 network");
const MAC = text(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, "a MAC address");
const SLOT = integer(0, 1_000_000);
const PROTOCOL = oneOf("tcp", "udp");
const FORWARDER = textWhere(isForwarder, "an address with an optional #port");
/** Rules count in whole seconds; a week is longer than any session that somebody keeps by its address. */
const AFFINITY_TIMEOUT_MS_MIN = 1_000;
const AFFINITY_TIMEOUT_MS_MAX = 7 * 86_400_000;

const UNDERLAY = { address: ADDRESS, port: PORT } as const;
const underlay: Shape<UnderlayModel> = record(UNDERLAY);

const peer: Shape<PeerModel> = record({ ...UNDERLAY, node: ID, nodeAddress: ADDRESS, mac: MAC });

const overlay: Shape<OverlayModel> = record({
  id: integer(1, OVERLAY_ID_MAX),
  mtu: integer(OVERLAY_MTU_MIN, OVERLAY_MTU_MAX),
  nodeAddress: ADDRESS,
  mac: MAC,
  peers: list(peer, PEERS_MAX),
});

const network: Shape<NetworkModel> = record(
  {
    id: ID,
    ...STACK,
    name: NAME,
    bridge: BRIDGE,
    subnet: SUBNET,
    gateway: ADDRESS,
    internal: flag,
  },
  { subnet6: SUBNET6, gateway6: ADDRESS6, serviceRange: SUBNET, serviceRange6: SUBNET6, overlay },
);

const serviceNetwork: Shape<ServiceNetworkModel> = record(
  { networkId: ID, aliases: tolerantList(HOST_NAME, SMALL_LIST_MAX) },
  { virtualAddress: ADDRESS, virtualAddress6: ADDRESS6 },
);

const servicePort: Shape<ServicePortModel> = record(
  { port: PORT, protocol: PROTOCOL },
  { name: NAME },
);

const affinity: Shape<AffinityModel> = record({
  kind: oneOf("source"),
  timeoutMs: integer(AFFINITY_TIMEOUT_MS_MIN, AFFINITY_TIMEOUT_MS_MAX),
});

const service: Shape<ServiceModel> = record(
  {
    ...SERVICE,
    networks: tolerantList(serviceNetwork, SMALL_LIST_MAX),
    endpointMode: oneOf("vip", "dnsrr"),
    ports: tolerantList(servicePort, SMALL_LIST_MAX),
  },
  { affinity },
);

const COPY = { ...SERVICE, networkId: ID, address: ADDRESS, taskId: ID, slot: SLOT } as const;

const endpoint: Shape<EndpointModel> = record(
  { ...COPY, state: oneOf("ready", "draining") },
  { hostname: HOST_NAME, address6: ADDRESS6, remote: flag },
);

const attachment: Shape<AttachmentModel> = record(
  { ...COPY, mac: MAC },
  { address6: ADDRESS6, remote: flag, node: ID },
);

const udpPort: Shape<UdpPortModel> = record({
  id: ID,
  hostAddress: ADDRESS,
  hostPort: PORT,
  target: targetShape,
});

const hostPolicy: Shape<HostPolicyModel> = record({
  openPorts: list(record({ protocol: PROTOCOL, port: PORT }), SMALL_LIST_MAX),
  metadataAccess: flag,
});

const nodeNetworkModel: Shape<NodeNetworkModel> = record(
  {
    format: oneOf(MODEL_FORMAT),
    generation: integer(0, Number.MAX_SAFE_INTEGER),
    cluster: record({ id: text(/^[a-z0-9]{1,8}$/, "1 to 8 of a-z and 0-9") }),
    domain: textWhere((name) => name.length <= 63 && isDnsName(name), "a DNS name"),
    networks: list(network, NETWORKS_MAX),
    services: tolerantList(service, SERVICES_MAX),
    endpoints: tolerantList(endpoint, ENDPOINTS_MAX),
    attachments: tolerantList(attachment, ENDPOINTS_MAX),
    ingress: ingressShape,
    forwarders: tolerantList(FORWARDER, FORWARDERS_MAX),
    hostPolicy,
  },
  {
    certificates: certificatesShape,
    acmeThumbprint: thumbprintShape,
    udpPorts: tolerantList(udpPort, ROUTES_MAX),
    underlay,
    hostDns: record({ address: LOOPBACK_ADDRESS, port: PORT }),
  },
);

/** Checks form and references. Never throws; a reason names the place and what was expected there. */
export function parseModel(value: unknown): ModelResult {
  const dropped: DroppedItem[] = [];
  const drop = (path: string, reason: string) => {
    if (dropped.length < DROPPED_MAX) dropped.push({ path, reason });
  };
  try {
    const model = nodeNetworkModel(value, "model", drop);
    checkNetworks(model.networks);
    checkOverlays(model);
    return { ok: true, model: withoutLooseEnds(model, drop), dropped };
  } catch (error) {
    if (error instanceof ShapeError) return { ok: false, reason: error.message };
    throw error;
  }
}

function isIpv6Range(value: string): boolean {
  const [address = "", prefix = "", ...rest] = value.split("/");
  const isPrefix = /^\d{1,3}$/.test(prefix) && Number(prefix) <= 128;
  return isIPv6(address) && !address.includes("%") && isPrefix && rest.length === 0;
}

function isForwarder(value: string): boolean {
  const [address = "", port, ...rest] = value.split("#");
  const validPort = port === undefined || (/^\d{1,5}$/.test(port) && Number(port) <= 65_535);
  return isIP(address) !== 0 && validPort && rest.length === 0;
}

function checkNetworks(networks: readonly NetworkModel[]): void {
  const seen = networks.map((item) => ({ item, range: parseIpv4Range(item.subnet) }));
  for (const [index, { item, range }] of seen.entries()) {
    const path = `model.networks[${index}]`;
    const gateway = parseIpv4(item.gateway);
    if (range === undefined || gateway === undefined || !ipv4InRange(gateway, range)) {
      refuse(`${path}.gateway`, `an address of ${item.subnet}`, item.gateway);
    }
    for (const other of seen.slice(0, index)) {
      if (other.item.id === item.id) refuse(`${path}.id`, "an id of its own", item.id);
      if (other.item.bridge === item.bridge) refuse(`${path}.bridge`, "its own", item.bridge);
      if (other.range !== undefined && ipv4RangesOverlap(other.range, range)) {
        refuse(`${path}.subnet`, `no overlap with ${other.item.subnet}`, item.subnet);
      }
    }
  }
}

/** Two networks under one identifier would be one network. */
function checkOverlays({ networks, underlay: own }: NodeNetworkModel): void {
  const seen = new Set<number>();
  for (const [index, { overlay: wish, subnet }] of networks.entries()) {
    if (wish === undefined) continue;
    const path = `model.networks[${index}].overlay`;
    if (own === undefined) refuse(path, "an underlay in the model", wish.id);
    if (seen.has(wish.id)) refuse(`${path}.id`, "its own", wish.id);
    seen.add(wish.id);
    const range = parseIpv4Range(subnet);
    for (const { nodeAddress } of [wish, ...wish.peers]) {
      const address = parseIpv4(nodeAddress);
      const inside = range !== undefined && address !== undefined && ipv4InRange(address, range);
      if (!inside) refuse(path, `nodes with addresses of ${subnet}`, nodeAddress);
    }
  }
}

/** Leaves out what names a network that is not there, and services that are listed twice. */
function withoutLooseEnds(model: NodeNetworkModel, drop: Drop): NodeNetworkModel {
  const ids = new Set(model.networks.map((item) => item.id));
  const known = (path: string) => (item: { readonly networkId: string }, index: number) => {
    if (ids.has(item.networkId)) return true;
    drop(`${path}[${index}]`, `no network ${item.networkId} in the model`);
    return false;
  };
  const seen = new Set<string>();
  const services = model.services.flatMap((service, index) => {
    const path = `model.services[${index}]`;
    const key = serviceKey(service);
    if (seen.has(key)) {
      drop(path, `${key} is listed already`);
      return [];
    }
    seen.add(key);
    return [{ ...service, networks: service.networks.filter(known(`${path}.networks`)) }];
  });
  return {
    ...model,
    services,
    endpoints: model.endpoints.filter(known("model.endpoints")),
    attachments: model.attachments.filter(known("model.attachments")),
  };
}
