/** Stacks, services as the platform keeps them, scales and deployments. */

import { Type } from "typebox";
import { Identifier, Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";
import { PinnedSpec, SecretVersion } from "./stack-spec.ts";

const scope = {
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
} as const;

/** Why a rollout failed: what the reader of `berth deploy` sees. */
export const RolloutFailure = Type.Object({
  service: Type.String(),
  task: Type.Optional(Type.String()),
  node: Type.Optional(Type.String()),
  /** One sentence: "api-1 on node-2 exited 1 three times in 14 s". */
  reason: Type.String(),
  exitCode: Type.Optional(Type.Integer()),
  /** The last lines of the failed container, at most 50. */
  logTail: Type.Array(Type.String()),
});
export type RolloutFailure = Of<typeof RolloutFailure>;

export const ROLLOUT_STATES = {
  progressing: "Copies are being replaced.",
  complete: "Every copy of every service runs the release and was healthy for its minimum time.",
  "rolling-back": "The rollout failed; the last good release is being restored.",
  "rolled-back": "The last good release is in place again.",
  failed: "The rollout failed and there was nothing to roll back to, or the file forbids it.",
  paused: "The rollout failed and waits for a person, as the file asks.",
} as const satisfies Readonly<Record<string, string>>;
export type RolloutState = keyof typeof ROLLOUT_STATES;

export const Rollout = Type.Object({
  /** The release that this rollout goes to. */
  release: Type.Integer({ minimum: 1 }),
  /** The good release that it came from; absent for the first. */
  from: Type.Optional(Type.Integer({ minimum: 1 })),
  state: Type.Union([
    Type.Literal("progressing"),
    Type.Literal("complete"),
    Type.Literal("rolling-back"),
    Type.Literal("rolled-back"),
    Type.Literal("failed"),
    Type.Literal("paused"),
  ]),
  startedAt: Timestamp,
  /** When the last copy became healthy or the rollout began: the progress deadline counts from here. */
  progressAt: Timestamp,
  endedAt: Type.Optional(Timestamp),
  failure: Type.Optional(RolloutFailure),
});
export type Rollout = Of<typeof Rollout>;

/** A stack. Written by the API (release, deletion) and by the rollout controller (rollout, good). */
export const Stack = Type.Object({
  ...scope,
  createdAt: Timestamp,
  /** The release that the services move to, or are at. */
  release: Type.Integer({ minimum: 0 }),
  /** The highest number given so far. */
  releaseMax: Type.Integer({ minimum: 0 }),
  /** The last release that was complete. */
  goodRelease: Type.Optional(Type.Integer({ minimum: 1 })),
  rollout: Type.Optional(Rollout),
  /** Per service, raised by `berth restart`: tasks with a lower number are replaced. */
  restarts: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
  /** Set by `stack rm`: everything goes, then the stack itself. */
  deleting: Type.Optional(Type.Object({ at: Timestamp, volumes: Type.Array(Type.String()) })),
});
export type Stack = Of<typeof Stack>;

/** The number of copies, outside the release. Written by the API on behalf of `source`. */
export const Scale = Type.Object({
  ...scope,
  service: Type.String(),
  value: Type.Integer({ minimum: 0, maximum: 100_000 }),
  source: Type.Union([Type.Literal("file"), Type.Literal("user"), Type.Literal("autoscaler")]),
  /** The file's number when it was last seen: a change of it wins over `value`. */
  fileValue: Type.Integer({ minimum: 0 }),
});
export type Scale = Of<typeof Scale>;

export const DEPLOYMENT_STATES = {
  pending: "Accepted; images are being resolved or built.",
  released: "Became a release; its rollout tells the rest.",
  unchanged: "Equal to the current release; nothing was done.",
  failed: "Did not become a release; nothing was changed.",
} as const satisfies Readonly<Record<string, string>>;
export type DeploymentState = keyof typeof DEPLOYMENT_STATES;

/** One `berth deploy`, from its acceptance until it is a release. */
export const Deployment = Type.Object({
  ...scope,
  id: Identifier,
  createdAt: Timestamp,
  createdBy: Type.String(),
  state: Type.Union([
    Type.Literal("pending"),
    Type.Literal("released"),
    Type.Literal("unchanged"),
    Type.Literal("failed"),
  ]),
  /** What is to become a release; its secrets carry versions, not content. */
  spec: PinnedSpec,
  secrets: Type.Record(Type.String(), SecretVersion),
  /** The operation that resolves the images, while pending. */
  operation: Type.Optional(Identifier),
  /** Operations that bring the images to nodes where copies are stopped before their successors start. */
  fetches: Type.Optional(Type.Array(Identifier)),
  release: Type.Optional(Type.Integer({ minimum: 1 })),
  error: Type.Optional(
    Type.Object({ code: Type.String(), message: Type.String(), details: Type.Unknown() }),
  ),
});
export type Deployment = Of<typeof Deployment>;
