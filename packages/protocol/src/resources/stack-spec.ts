/**
 * What one deploy hands in: services, networks, volumes, configs and secrets of a stack, rendered.
 */

import { Type } from "typebox";
import { ComposeName, Digest } from "../names.ts";
import type { Of } from "../schema.ts";
import { ExternalFileName } from "./external-file.ts";
import { ServiceSpec } from "./service-spec.ts";

const StringMap = Type.Record(Type.String(), Type.String());

export const NetworkSpec = Type.Object({
  /** No way out of the network. */
  internal: Type.Boolean(),
  /** Joins the network `name` of another stack in the same environment instead of making one. */
  external: Type.Optional(Type.Object({ stack: Type.String(), name: Type.String() })),
  /** A wish for a range, `10.9.0.0/24`; the platform chooses otherwise. */
  subnet: Type.Optional(Type.String()),
  /** The bridge's own address inside `subnet`; its first one by default. */
  gateway: Type.Optional(Type.String()),
  /** Part of `subnet` that addresses are given out from. */
  ipRange: Type.Optional(Type.String()),
  /** Addresses of `subnet` that are given to nobody, by the name that the file calls them. */
  auxAddresses: Type.Optional(StringMap),
  /** The network has IPv6 as well. Default false. */
  ipv6: Type.Optional(Type.Boolean()),
  /** A wish for the IPv6 range; the platform chooses a /64 otherwise. */
  subnet6: Type.Optional(Type.String()),
  /**
   * Largest packet in bytes, when the network is made: 1,280 to 65,535. The platform's own where that is smaller
   * (between hosts) or nothing is said. Writer: the file.
   */
  mtu: Type.Optional(Type.Integer({ minimum: 1_280, maximum: 65_535 })),
  labels: StringMap,
});
export type NetworkSpec = Of<typeof NetworkSpec>;

export const VolumeSpec = Type.Object({
  /** `exclusive`: at most one live task at a time. `shared`: the application coordinates itself. */
  mode: Type.Union([Type.Literal("exclusive"), Type.Literal("shared")]),
  /** Each slot has a volume of its own. */
  perCopy: Type.Boolean(),
  driver: Type.Optional(Type.String()),
  driverOptions: StringMap,
  /** Uses a volume that exists already, of another stack or of the engine. */
  external: Type.Optional(Type.Object({ name: Type.String() })),
  /** Seeds a new volume once: a directory as tar archive in the blobs (writable relative binds). */
  seedDigest: Type.Optional(Digest),
  labels: StringMap,
});
export type VolumeSpec = Of<typeof VolumeSpec>;

/** A config or secret that the environment has apart from stacks. */
export const ExternalInput = Type.Object({ external: Type.Object({ name: ExternalFileName }) });
export type ExternalInput = Of<typeof ExternalInput>;

/** Where content came from that the file says to be external. */
export const ExternalSource = Type.Object({
  name: Type.String(),
  /** The version that was the newest when the deployment was accepted. */
  version: Type.Integer({ minimum: 1 }),
});

const ConfigContent = Type.Object({ digest: Digest, sizeBytes: Type.Integer({ minimum: 0 }) });
/** A config of a request. */
export const ConfigInput = Type.Union([ConfigContent, ExternalInput]);
export type ConfigInput = Of<typeof ConfigInput>;

/** Content of a config lies in the blobs. */
export const ConfigSpec = Type.Object({
  ...ConfigContent.properties,
  external: Type.Optional(ExternalSource),
});
export type ConfigSpec = Of<typeof ConfigSpec>;

/**
 * A secret of a request carries its content; in a release it carries the version under which the server
 * keeps it encrypted.
 */
export const SecretInput = Type.Union([
  Type.Object({
    /** Base64 of the bytes; at most 500 KB decoded. */
    content: Type.String({ maxLength: 700_000 }),
  }),
  ExternalInput,
]);
export type SecretInput = Of<typeof SecretInput>;
export const SecretVersion = Type.Object({
  /** Names the encrypted object; a keyed hash of the content, so that equal content is equal. */
  version: Type.String(),
  external: Type.Optional(ExternalSource),
});
export type SecretVersion = Of<typeof SecretVersion>;

/** Names in a stack: services, networks, volumes ... */
const named = { propertyNames: ComposeName } as const;

export const STACK_SERVICES_MAX = 2_000;

export const StackSpec = Type.Object(
  {
    services: Type.Record(Type.String(), ServiceSpec, {
      ...named,
      maxProperties: STACK_SERVICES_MAX,
    }),
    networks: Type.Record(Type.String(), NetworkSpec, named),
    volumes: Type.Record(Type.String(), VolumeSpec, named),
    configs: Type.Record(Type.String(), ConfigInput, named),
    secrets: Type.Record(Type.String(), SecretInput, named),
    /** The Compose text that this came from, for people; never interpreted by the server. */
    source: Type.Optional(Type.String({ maxLength: 1_000_000 })),
  },
  { additionalProperties: false },
);
export type StackSpec = Of<typeof StackSpec>;

/** What the server goes on with: contents of configs by digest, those of secrets beside it. */
export const PinnedSpec = Type.Object({
  ...Type.Omit(StackSpec, ["secrets", "configs"]).properties,
  configs: Type.Record(Type.String(), ConfigSpec),
});
export type PinnedSpec = Of<typeof PinnedSpec>;
