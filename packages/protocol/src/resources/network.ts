/** Networks and volumes as the platform keeps them. */

import { Type } from "typebox";
import { Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";

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
  internal: Type.Boolean(),
  createdAt: Timestamp,
});
export type Network = Of<typeof Network>;

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
  createdAt: Timestamp,
});
export type Volume = Of<typeof Volume>;
