/** A release: immutable version of a stack with pinned images. Written once, by the server. */

import { Type } from "typebox";
import { Digest, Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";
import { ServiceSpec } from "./service-spec.ts";
import { ConfigSpec, NetworkSpec, SecretVersion, VolumeSpec } from "./stack-spec.ts";

/** An image by content. One of the two digests is always there once a release exists. */
export const PinnedImage = Type.Object({
  /** As written in the file. */
  reference: Type.String(),
  /** Digest of the image's configuration: the engine's image ID. Known for local and built images. */
  imageId: Type.Optional(Digest),
  /** `name@sha256:...` in a registry, where it came from one. */
  repoDigest: Type.Optional(Type.String()),
  sizeBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  /** Ports of the image's EXPOSE: shown, never used to gate readiness. */
  exposed: Type.Optional(Type.Array(Type.Integer())),
});
export type PinnedImage = Of<typeof PinnedImage>;

export const ReleaseService = Type.Object({
  spec: ServiceSpec,
  image: PinnedImage,
  /**
   * Hash of everything that needs a new container when it changes: two releases with the same template
   * share their tasks. The number of copies and the update rules are not in it.
   */
  template: Type.String(),
});
export type ReleaseService = Of<typeof ReleaseService>;

export const Release = Type.Object({
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
  /** 1, 2, 3 ... within the stack. */
  number: Type.Integer({ minimum: 1 }),
  createdAt: Timestamp,
  createdBy: Type.String(),
  services: Type.Record(Type.String(), ReleaseService),
  networks: Type.Record(Type.String(), NetworkSpec),
  volumes: Type.Record(Type.String(), VolumeSpec),
  configs: Type.Record(Type.String(), ConfigSpec),
  secrets: Type.Record(Type.String(), SecretVersion),
  source: Type.Optional(Type.String()),
});
export type Release = Of<typeof Release>;
