/** Requests from outside: floating addresses, and the nodes that answer. */

import { Type } from "typebox";
import { Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";
import { NodeAvailability } from "./node.ts";

/** `192.0.2.10/24`: an address, and the prefix by which its neighbours are reached. */
const FloatingText = Type.String({ pattern: "^[0-9.]{7,15}(/[0-9]{1,2})?$" });
/** As the kernel has them. */
const InterfaceName = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$" });

/** Numbers of VRRP: one for each floating address on a wire. */
export const VRRP_ROUTERS_MAX = 255;

/** What a person wishes of a floating address. */
export const FloatingWish = Type.Object(
  {
    address: FloatingText,
    /** Where the nodes have it; by default the interface whose range it is in. */
    interface: Type.Optional(InterfaceName),
    /** VRRP's number on that wire; by default the first that is free here. */
    router: Type.Optional(Type.Integer({ minimum: 1, maximum: VRRP_ROUTERS_MAX })),
  },
  { additionalProperties: false },
);
export type FloatingWish = Of<typeof FloatingWish>;

/** An address that one of the nodes for requests from outside has at a time. Written by users. */
export const FloatingAddress = Type.Object({
  address: Type.String(),
  interface: Type.Optional(Type.String()),
  router: Type.Integer({ minimum: 1, maximum: VRRP_ROUTERS_MAX }),
  createdAt: Timestamp,
});
export type FloatingAddress = Of<typeof FloatingAddress>;

/** A node's part in a floating address. Made by the server, with each renewal of the lease; not stored. */
export const FloatingPart = Type.Object({
  address: Type.String(),
  interface: Type.Optional(Type.String()),
  router: Type.Integer({ minimum: 1, maximum: VRRP_ROUTERS_MAX }),
  /** The highest of those who can has it. Another for each node. */
  priority: Type.Integer({ minimum: 1, maximum: 254 }),
  /** Where the other nodes are reached. */
  peers: Type.Array(Type.String()),
});
export type FloatingPart = Of<typeof FloatingPart>;

/** A node that answers requests from outside. */
export const IngressNode = Type.Object({
  node: Type.String(),
  /** Where other nodes reach it; what DNS may list. */
  address: Type.String(),
  /** A person chose it by its label. */
  labelled: Type.Boolean(),
  contact: Type.Union([Type.Literal("up"), Type.Literal("down")]),
  availability: NodeAvailability,
  /** Networks whose routes it answers; a network of this node alone is not counted. */
  networks: Type.Integer({ minimum: 0 }),
  /** Floating addresses that it has, as it said last. */
  floating: Type.Array(Type.String()),
});
export type IngressNode = Of<typeof IngressNode>;

/** A floating address with the nodes that may have it, the one that does first by choice. */
export const FloatingStanding = Type.Object({
  ...FloatingAddress.properties,
  nodes: Type.Array(Type.String()),
  /** Who has it, as the nodes said last. Absent: nobody. */
  holder: Type.Optional(Type.String()),
});
export type FloatingStanding = Of<typeof FloatingStanding>;

/** Everything that `berth ingress ls` shows. */
export const IngressStanding = Type.Object({
  nodes: Type.Array(IngressNode),
  addresses: Type.Array(FloatingStanding),
  /** Hosts and paths, and published ports, of all stacks. */
  routes: Type.Integer({ minimum: 0 }),
});
export type IngressStanding = Of<typeof IngressStanding>;
