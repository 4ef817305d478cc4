/**
 * Whether networks reach from one node to another: what a node is asked to try, and what it saw. Made when
 * somebody asks; never stored.
 */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

/** A copy on another node, as a node is asked to reach it. */
export const NetworkCheckTarget = Type.Object({
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
  service: Type.String(),
  /** `web-1` */
  copy: Type.String(),
  address: Type.String(),
  /** TCP ports that its service serves, as far as the file says. */
  ports: Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 })),
  /** It gets requests: names answer it. */
  ready: Type.Boolean(),
  /** Largest packet inside the network, bytes. */
  mtu: Type.Integer({ minimum: 1 }),
});
export type NetworkCheckTarget = Of<typeof NetworkCheckTarget>;

/** One thing that was tried. */
export const NetworkCheckStep = Type.Object({
  /** `name`: the resolver answers the copy; `echo`: a small packet is answered; `large`: one of full size. */
  what: Type.Union([
    Type.Literal("name"),
    Type.Literal("echo"),
    Type.Literal("tcp"),
    Type.Literal("large"),
  ]),
  verdict: Type.Union([Type.Literal("ok"), Type.Literal("failed"), Type.Literal("skipped")]),
  /** What was seen. */
  message: Type.String(),
  /** What to do, where it failed. */
  advice: Type.Optional(Type.String()),
});
export type NetworkCheckStep = Of<typeof NetworkCheckStep>;

/** The way from a node to another. */
export const NetworkCheckPair = Type.Object({
  from: Type.String(),
  to: Type.String(),
  /** `shop/default`, by which it was tried; absent when no network spans both. */
  network: Type.Optional(Type.String()),
  /** The copy that was asked: `shop/web-1`. */
  copy: Type.Optional(Type.String()),
  /** `unknown`: nothing could be tried. */
  verdict: Type.Union([Type.Literal("ok"), Type.Literal("failed"), Type.Literal("unknown")]),
  /** Why nothing could be tried. */
  message: Type.Optional(Type.String()),
  steps: Type.Array(NetworkCheckStep),
});
export type NetworkCheckPair = Of<typeof NetworkCheckPair>;

/** Ways that one question may have tried: all pairs of ten nodes are 90. */
export const NETWORK_CHECK_PAIRS_MAX = 100;
