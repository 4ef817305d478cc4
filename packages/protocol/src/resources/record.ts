/** Records of what happened: events for people, audit entries for auditors. Both are kept for a time. */

import { Type } from "typebox";
import { Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";

/** Something that a person may want to know. Written by the server. */
export const Event = Type.Object({
  id: Type.String(),
  at: Timestamp,
  level: Type.Union([Type.Literal("info"), Type.Literal("warning"), Type.Literal("error")]),
  /** Stable word: `rollout_failed`, `task_exited`, `node_down` ... */
  reason: Type.String(),
  message: Type.String(),
  project: Type.String(),
  environment: Type.String(),
  stack: Type.Optional(Type.String()),
  service: Type.Optional(Type.String()),
  task: Type.Optional(Type.String()),
  node: Type.Optional(Type.String()),
});
export type Event = Of<typeof Event>;

/** One write through the API, accepted or refused. Written by the API. */
export const AuditEntry = Type.Object({
  id: Type.String(),
  at: Timestamp,
  /** Name of the token, never the token. */
  actor: Type.String(),
  remoteAddress: Type.String(),
  /** Identifier of the route, `deployStack`. */
  action: Type.String(),
  path: Type.String(),
  status: Type.Integer(),
  code: Type.Optional(Type.String()),
  requestId: Type.String(),
});
export type AuditEntry = Of<typeof AuditEntry>;

/** A token as it is kept: only its hash. */
export const Token = Type.Object({
  name: Type.String(),
  /** SHA-256 of the token. Tokens are 256 random bits, so a slow hash adds nothing. */
  hash: Type.String(),
  role: Type.Union([Type.Literal("admin"), Type.Literal("agent")]),
  /** The node that an agent's token speaks for. */
  node: Type.Optional(Type.String()),
  createdAt: Timestamp,
});
export type Token = Of<typeof Token>;
