/** Answers to questions: what a deploy would do, and why something is as it is. */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

export const RefusalRule = Type.Object({
  /** Name of the scheduler's filter. */
  rule: Type.String(),
  /** Nodes that this rule turned down. */
  count: Type.Integer(),
  need: Type.Optional(Type.Number()),
  bestAvailable: Type.Optional(Type.Number()),
  unit: Type.Optional(Type.String()),
  detail: Type.Optional(Type.String()),
  nodes: Type.Array(Type.String()),
});
export type RefusalRule = Of<typeof RefusalRule>;

/** Something that is waited for, as data; `message` is its rendering. */
export const Wait = Type.Object({
  /** Stable word: `place`, `dependency`, `volume`, `minimum-healthy`, `image`, `backoff` ... */
  kind: Type.String(),
  message: Type.String(),
  /** Wall time since when, and until when at the latest, where known. */
  since: Type.Optional(Type.Number()),
  until: Type.Optional(Type.Number()),
  slot: Type.Optional(Type.Integer()),
  task: Type.Optional(Type.String()),
  refusals: Type.Optional(Type.Array(RefusalRule)),
  hints: Type.Optional(Type.Array(Type.String())),
});
export type Wait = Of<typeof Wait>;

/** One field that differs between two releases. */
export const FieldChange = Type.Object({
  /** `environment.FEATURE_X`, `image` ... */
  field: Type.String(),
  change: Type.Union([Type.Literal("added"), Type.Literal("removed"), Type.Literal("changed")]),
  /** Rendered and shortened; secrets and environment values are not shown. */
  from: Type.Optional(Type.String()),
  to: Type.Optional(Type.String()),
});
export type FieldChange = Of<typeof FieldChange>;

export const ServicePlan = Type.Object({
  service: Type.String(),
  action: Type.Union([
    Type.Literal("create"),
    Type.Literal("replace"),
    Type.Literal("scale"),
    Type.Literal("remove"),
    Type.Literal("none"),
  ]),
  copies: Type.Integer(),
  copiesNow: Type.Integer(),
  order: Type.Union([Type.Literal("start-first"), Type.Literal("stop-first")]),
  /** Why it will, or will not, be without interruption. */
  note: Type.Optional(Type.String()),
  changes: Type.Array(FieldChange),
  placements: Type.Array(
    Type.Object({
      slot: Type.Integer(),
      node: Type.Optional(Type.String()),
      fromNode: Type.Optional(Type.String()),
      reasons: Type.Array(Type.String()),
      refusal: Type.Optional(Type.String()),
    }),
  ),
});
export type ServicePlan = Of<typeof ServicePlan>;

export const DeployPlan = Type.Object({
  release: Type.Integer(),
  current: Type.Optional(Type.Integer()),
  services: Type.Array(ServicePlan),
  networks: Type.Object({ create: Type.Array(Type.String()), remove: Type.Array(Type.String()) }),
  volumes: Type.Object({ create: Type.Array(Type.String()), keep: Type.Array(Type.String()) }),
  warnings: Type.Array(Type.String()),
});
export type DeployPlan = Of<typeof DeployPlan>;

/** Why a service is, or is not, as it should be. */
export const Explanation = Type.Object({
  service: Type.String(),
  /** First line: what is the case. */
  summary: Type.String(),
  wanted: Type.Integer(),
  ready: Type.Integer(),
  waits: Type.Array(Wait),
  tasks: Type.Array(
    Type.Object({
      task: Type.String(),
      name: Type.String(),
      node: Type.String(),
      line: Type.String(),
      reasons: Type.Array(Type.String()),
    }),
  ),
  /** What would help. */
  advice: Type.Array(Type.String()),
});
export type Explanation = Of<typeof Explanation>;
