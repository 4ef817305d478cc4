/**
 * The template hash of a service: equal templates share their tasks across releases.
 *
 * Everything is in it that needs a new container when it changes, and nothing else: a table says for each
 * field of `ServiceSpec` which it is, so that a new field does not compile until somebody has decided.
 * Configs, secrets and seeds count by content.
 */

import { createHash } from "node:crypto";
import type {
  ConfigSpec,
  NetworkSpec,
  PinnedImage,
  SecretVersion,
  ServiceSpec,
  VolumeSpec,
} from "@berth/protocol";

/** `container`: a change needs a new container. `aside`: it does not, or the image's digest stands for it. */
const FIELDS = {
  // The digest says what runs; the reference may change its words.
  image: "aside",
  build: "aside",
  pullPolicy: "aside",
  pullEveryMs: "aside",
  entrypoint: "container",
  command: "container",
  environment: "container",
  engine: "container",
  limits: "container",
  // Room is found for it before it starts.
  requests: "container",
  countables: "container",
  mounts: "container",
  configs: "container",
  secrets: "container",
  networks: "container",
  networkMode: "container",
  podWith: "container",
  podShares: "container",
  // Published by the ingress, outside the container; `host` services are told apart below.
  ports: "aside",
  expose: "aside",
  routes: "aside",
  tcpRoutes: "aside",
  endpointMode: "aside",
  affinity: "aside",
  probes: "container",
  dependsOn: "aside",
  restart: "container",
  mode: "container",
  everyNode: "container",
  copies: "aside",
  update: "aside",
  rollback: "aside",
  // A copy on a node that does not fit any more needs a new one elsewhere.
  constraints: "container",
  spreadOver: "aside",
  maxPerNode: "aside",
  tolerations: "aside",
  strategy: "aside",
  weights: "aside",
  // The agent tells the kernel whom to end first.
  class: "container",
  devices: "container",
  // Agent and server must agree about each copy from its beginning.
  failover: "container",
  priority: "aside",
  stopGraceMs: "aside",
  drainMs: "aside",
  postStart: "container",
  preStop: "aside",
  log: "aside",
} as const satisfies Readonly<Record<keyof ServiceSpec, "container" | "aside">>;

export interface TemplateContext {
  readonly networks: Readonly<Record<string, NetworkSpec>>;
  readonly volumes: Readonly<Record<string, VolumeSpec>>;
  readonly configs: Readonly<Record<string, Pick<ConfigSpec, "digest" | "external">>>;
  readonly secrets: Readonly<Record<string, SecretVersion>>;
}

/** 16 hexadecimal digits: 2^-64 is small enough for a few dozen templates of one service. */
const TEMPLATE_DIGITS = 16;

/** The hash of what a container of the service is made from. */
export function templateOf(
  spec: ServiceSpec,
  image: PinnedImage,
  context: TemplateContext,
): string {
  const parts: Record<string, unknown> = {};
  for (const field of Object.keys(FIELDS) as (keyof ServiceSpec)[]) {
    if (FIELDS[field] === "container") parts[field] = spec[field];
  }
  const volumes = spec.mounts.flatMap((mount) => (mount.kind === "volume" ? [mount.volume] : []));
  const content = {
    ...parts,
    image: image.imageId ?? image.repoDigest ?? image.reference,
    hostPorts: spec.networkMode === "host" ? spec.ports : [],
    volumeSpecs: pick(context.volumes, volumes),
    networkSpecs: pick(context.networks, Object.keys(spec.networks)),
    configContents: contents(context.configs, spec.configs),
    secretContents: contents(context.secrets, spec.secrets),
  };
  return createHash("sha256").update(canonical(content)).digest("hex").slice(0, TEMPLATE_DIGITS);
}

/** Where content comes from does not count: an external one may have another number and the same bytes. */
function contents<T extends { readonly external?: unknown }>(
  all: Readonly<Record<string, T>>,
  references: readonly { readonly name: string }[],
): Record<string, Omit<T, "external">> {
  const picked = pick(
    all,
    references.map(({ name }) => name),
  );
  return Object.fromEntries(
    Object.entries(picked).map(([name, { external: _, ...content }]) => [name, content]),
  );
}

function pick<T>(all: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  const picked: Record<string, T> = {};
  for (const name of names) {
    const value = all[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

/** JSON with sorted keys: equal values give equal text, whatever the order in which they were written. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(
      Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    );
  });
}
