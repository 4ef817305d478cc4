/** The servers of a cluster and where they are reached: what agents and command lines go by when one fails. */

import { Type } from "typebox";
import { Name, Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";

/** Addresses of one server at most: a machine has a few interfaces that others reach. */
export const SERVER_URLS_MAX = 16;

/**
 * A server's cluster port, as the server itself says once it is open. Stays when the server is gone for a while, so that
 * everybody knows where to look for it; forgotten after a week of silence (`SERVER_FORGOTTEN_MS`).
 */
export const ServerAddress = Type.Object({
  /** Name of the machine as a node: a server has no other name. */
  node: Name,
  /** `https://10.0.0.1:7711`, best first. */
  urls: Type.Array(Type.String(), { maxItems: SERVER_URLS_MAX }),
  /** The cluster's authority as PEM: who believes the list can go to its servers. */
  authority: Type.String(),
  /** Version of the software, `0.1.0`. */
  version: Type.String(),
  /** Newest protocol that it speaks (`PROTOCOL_VERSION`). */
  protocol: Type.Integer(),
  /** Newest formats of the state that it reads (`FORMAT_LEVEL`); absent: the first. */
  format: Type.Optional(Type.Integer()),
  /** When it said so last, milliseconds; repeated at least daily. */
  at: Timestamp,
});
export type ServerAddress = Of<typeof ServerAddress>;

/** A server or agent that reads less than another, and by that holds the level of formats back. */
export const FormatHolder = Type.Object({
  /** `server three`, `node two` */
  member: Type.String(),
  /** Version of its software; empty when it never said one. */
  version: Type.String(),
  /** Newest level that it reads. */
  format: Type.Integer(),
});
export type FormatHolder = Of<typeof FormatHolder>;

/** How far the formats of the cluster's state are: what is newer than `level` is not written. */
export const FormatStanding = Type.Object({
  level: Type.Integer(),
  /** Newest level that the answering server reads. */
  newest: Type.Integer(),
  /** Who reads less than `newest`, servers first; at most `FORMAT_HOLDERS_SHOWN`. */
  heldBackBy: Type.Array(FormatHolder),
});
export type FormatStanding = Of<typeof FormatStanding>;

/** Those that are named: a thousand nodes are upgraded one after the other. */
export const FORMAT_HOLDERS_SHOWN = 20;

/** A server as listings show it. */
export const ServerView = Type.Object({
  server: ServerAddress,
  /** Its lease lives. */
  isPresent: Type.Boolean(),
  /** It runs the controllers. */
  leads: Type.Boolean(),
});
export type ServerView = Of<typeof ServerView>;
