/** Networks and volumes as the platform keeps them. */

import { Type } from "typebox";
import { Identifier, Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";
import { Underlay } from "./node.ts";
import { RouteSpec, TcpRouteSpec } from "./route-spec.ts";
import { Affinity, PublishedPort } from "./service-spec.ts";

const scope = {
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
  /** Key in the stack's file. */
  name: Type.String(),
} as const;

/** A network. Written by the server when the first task needs it. */
export const Network = Type.Object({
  ...scope,
  /** Short, unique in the cluster: eight hexadecimal digits. Part of interface names. */
  id: Type.String({ pattern: "^[a-f0-9]{8}$" }),
  /** `10.64.3.0/24` */
  subnet: Type.String(),
  /** First address of the subnet: the bridge's own, where DNS answers. */
  gateway: Type.String(),
  /** Addresses are given out from here only; the whole subnet when absent. */
  ipRange: Type.Optional(Type.String()),
  /** Addresses that nobody gets: used by hosts or devices that the file names. */
  reserved: Type.Optional(Type.Array(Type.String())),
  /** `fd6b:1:2:3::/64`, where the network has IPv6. */
  subnet6: Type.Optional(Type.String()),
  /** The bridge's own IPv6 address; set together with `subnet6`. */
  gateway6: Type.Optional(Type.String()),
  /** Addresses of services on this network are from here. Absent in networks of an older version. */
  serviceRange: Type.Optional(Type.String()),
  /** As `serviceRange`, IPv6. */
  serviceRange6: Type.Optional(Type.String()),
  internal: Type.Boolean(),
  /** Largest packet, bytes, of a network that was made when the cluster had several nodes; else the engine's. */
  mtu: Type.Optional(Type.Integer({ minimum: 1 })),
  /** Written by the server while it removes the network because a person said so: nobody gets onto it. */
  removing: Type.Optional(Type.Literal(true)),
  /** Of the bridge at the engine. */
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  createdAt: Timestamp,
});
export type Network = Of<typeof Network>;

/** How requests from outside reach a service, for nodes without a copy of it. */
export const DeclaredIngress = Type.Object({
  /** The service's first network: ingress nodes reach its copies there. */
  networkId: Type.String(),
  routes: Type.Array(RouteSpec),
  tcpRoutes: Type.Optional(Type.Array(TcpRouteSpec)),
  ports: Type.Array(PublishedPort),
  /** Versions of the secrets that name users of routes. */
  secrets: Type.Optional(Type.Record(Type.String(), Type.Object({ version: Type.String() }))),
});
export type DeclaredIngress = Of<typeof DeclaredIngress>;

/**
 * A service as names and requests need it: there from the moment that its stack's release declares it,
 * with or without tasks. Made by the server from the stack's current release, for agents whose node carries
 * one of its networks; not stored.
 */
export const DeclaredService = Type.Object({
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
  service: Type.String(),
  /** Release that says so. */
  release: Type.Integer({ minimum: 1 }),
  endpointMode: Type.Union([Type.Literal("vip"), Type.Literal("dnsrr")]),
  /** Ports that the service serves, each once, in order: published, exposed, and targets of routes. */
  ports: Type.Array(
    Type.Object({
      port: Type.Integer({ minimum: 1, maximum: 65_535 }),
      protocol: Type.Union([Type.Literal("tcp"), Type.Literal("udp")]),
    }),
  ),
  /** Connections of one source to its address stay with one copy. */
  affinity: Type.Optional(Affinity),
  /** Networks that exist: one without any task yet has no identifier and is not here. */
  networks: Type.Array(
    Type.Object({
      networkId: Type.String(),
      /** Further names on that network. */
      aliases: Type.Array(Type.String()),
      /** Address of the service on that network, where it has one. */
      virtualAddress: Type.Optional(Type.String()),
      /** As `virtualAddress`, IPv6. */
      virtualAddress6: Type.Optional(Type.String()),
    }),
  ),
  /** Absent: nothing leads to it from outside. */
  ingress: Type.Optional(DeclaredIngress),
});
export type DeclaredService = Of<typeof DeclaredService>;

/**
 * A task of another node on a network that a node carries: who is reachable where, and whether it gets
 * requests. Made by the server from the task and its status, for agents; not stored.
 */
export const NetworkNeighbor = Type.Object({
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
  service: Type.String(),
  task: Type.String(),
  slot: Type.Integer({ minimum: 1 }),
  node: Type.String(),
  /** From the plan's commit until the removal is confirmed. */
  attachments: Type.Array(
    Type.Object({
      networkId: Type.String(),
      address: Type.String(),
      address6: Type.Optional(Type.String()),
      mac: Type.String(),
    }),
  ),
  /** `none`: attached, no request goes there; `draining`: no new request, connections live on. */
  endpoint: Type.Union([Type.Literal("none"), Type.Literal("ready"), Type.Literal("draining")]),
  /** Compose `hostname`. */
  hostname: Type.Optional(Type.String()),
});
export type NetworkNeighbor = Of<typeof NetworkNeighbor>;

/**
 * A node as it takes part in a network that spans hosts. Made by the server from claims and the node's
 * status, for agents of nodes that carry the network, its own included; not stored.
 */
export const NetworkPeer = Type.Object({
  networkId: Type.String(),
  node: Type.String(),
  /** VXLAN identifier of the network, the same for all its nodes. */
  overlayId: Type.Integer({ minimum: 1, maximum: 16_777_215 }),
  /** Address of the node in the network: what its host asks copies on other nodes by. */
  nodeAddress: Type.String(),
  /** Of the network's bridge on the node. */
  mac: Type.String(),
  underlay: Underlay,
  /**
   * Whether the node answers the routes that lead into this network, with or without a copy. Absent: nobody has
   * decided yet, and it answers those of its own copies.
   */
  ingress: Type.Optional(Type.Boolean()),
});
export type NetworkPeer = Of<typeof NetworkPeer>;

/** What VXLAN adds to a packet. */
const OVERLAY_OVERHEAD_BYTES = 50;
/** Below, IPv6 does not work. */
const OVERLAY_MTU_MIN = 1_280;
/** A packet of IPv4, without what VXLAN adds. */
const OVERLAY_MTU_MAX = 65_485;

/** The largest packet inside a network that nodes of these sizes (bytes, at least one) all carry. */
export function overlayMtu(sizes: readonly number[]): number {
  const inside = Math.min(...sizes) - OVERLAY_OVERHEAD_BYTES;
  return Math.min(Math.max(inside, OVERLAY_MTU_MIN), OVERLAY_MTU_MAX);
}

/** What is being done with a volume as a whole, step by step; each step is in the store before it begins. */
export const VOLUME_HOLD_PHASES = {
  stopping: "Copies that use it are stopped, and none starts.",
  copying: "Nothing uses it; its content is being copied.",
  cleaning: "The copy is the volume from now on; what it was copied from is being removed.",
  undoing: "It failed: the volume is as it was, and the copy that was begun is being removed.",
} as const satisfies Readonly<Record<string, string>>;
export type VolumeHoldPhase = keyof typeof VOLUME_HOLD_PHASES;

export const VolumeHold = Type.Object({
  id: Identifier,
  kind: Type.Union([Type.Literal("move"), Type.Literal("backup"), Type.Literal("restore")]),
  phase: Type.Union([
    Type.Literal("stopping"),
    Type.Literal("copying"),
    Type.Literal("cleaning"),
    Type.Literal("undoing"),
  ]),
  startedAt: Timestamp,
  /** When this phase began. */
  changedAt: Timestamp,
  /** Whoever does it has to say so again before this, else it is given up. Not of moves. */
  until: Type.Optional(Timestamp),
  /** Of a move: the node that gets the data. */
  to: Type.Optional(Type.String()),
  /** Where the copy lies that is being made; name at that node's engine. */
  copy: Type.Optional(Type.String()),
  /** The operation under way. */
  operation: Type.Optional(Identifier),
  /** What is to be removed: the volume that was, or the copy that failed. */
  leftover: Type.Optional(Type.Object({ node: Type.String(), engineName: Type.String() })),
  /** Why it is undone. */
  reason: Type.Optional(Type.String()),
});
export type VolumeHold = Of<typeof VolumeHold>;

/** How the last move, backup or restore of a volume ended. */
export const VolumeOutcome = Type.Object({
  id: Identifier,
  kind: VolumeHold.properties.kind,
  state: Type.Union([Type.Literal("done"), Type.Literal("failed")]),
  reason: Type.Optional(Type.String()),
  /** Bytes of its archive. */
  bytes: Type.Optional(Type.Integer({ minimum: 0 })),
  at: Timestamp,
});
export type VolumeOutcome = Of<typeof VolumeOutcome>;

/** A volume and its home. Written by the server. */
export const Volume = Type.Object({
  ...scope,
  /** Slot of a per-copy volume. */
  slot: Type.Optional(Type.Integer({ minimum: 1 })),
  /** Name at the engine of its home node. */
  engineName: Type.String(),
  mode: Type.Union([Type.Literal("exclusive"), Type.Literal("shared")]),
  /** The node that has the data; absent until the first task is placed. */
  node: Type.Optional(Type.String()),
  /** The volume was there before and is never removed by the platform. */
  external: Type.Boolean(),
  /** Something is done with the whole volume. */
  hold: Type.Optional(VolumeHold),
  last: Type.Optional(VolumeOutcome),
  createdAt: Timestamp,
});
export type Volume = Of<typeof Volume>;
