/**
 * Where things lie in the store. A key is `project/environment/kind/name...`; cluster-wide things have `-`
 * for both. This table is the only place that knows the layout.
 *
 * Numbers in keys are padded so that key order is number order.
 */

import {
  CLUSTER_SCOPE,
  type EnvironmentScope,
  type ServiceScope,
  type StackScope,
} from "./names.ts";

/** Every kind of object in the store: what it is and who may write it. */
export const KINDS = {
  stack: { cluster: false, writer: "API and rollout controller, in separate fields" },
  release: { cluster: false, writer: "deployment controller, once" },
  scale: { cluster: false, writer: "API, autoscaler" },
  deployment: { cluster: false, writer: "API, then deployment controller" },
  task: { cluster: false, writer: "service controller and, for `paused`, API" },
  status: { cluster: false, writer: "agent of the task's node" },
  network: { cluster: false, writer: "service controller" },
  volume: { cluster: false, writer: "service controller, API" },
  secret: { cluster: false, writer: "API; encrypted" },
  parameter: { cluster: false, writer: "API; encrypted" },
  external: { cluster: false, writer: "API; the content is sealed apart" },
  registry: { cluster: false, writer: "API; the password is encrypted" },
  policy: { cluster: false, writer: "API" },
  event: { cluster: false, writer: "controllers" },
  certificate: { cluster: false, writer: "API (wishes), certificate controller (the rest)" },
  acme: { cluster: false, writer: "API, certificate controller (account)" },
  sealed: { cluster: false, writer: "API and certificate controller; encrypted" },
  authority: { cluster: true, writer: "server, once" },
  node: { cluster: true, writer: "API and lease controller, in separate fields" },
  "node-status": { cluster: true, writer: "agent of the node" },
  member: { cluster: true, writer: "API" },
  removal: { cluster: true, writer: "API" },
  "join-token": { cluster: true, writer: "API" },
  "floating-address": { cluster: true, writer: "API" },
  operation: { cluster: true, writer: "server, then agent of the node" },
  token: { cluster: true, writer: "API" },
  audit: { cluster: true, writer: "API" },
  claim: { cluster: true, writer: "whoever takes it, in one transaction with the taking object" },
  idempotency: { cluster: true, writer: "API" },
  cluster: { cluster: true, writer: "server at its first start" },
  format: { cluster: true, writer: "the server that leads" },
  leader: { cluster: true, writer: "the server that leads" },
  server: { cluster: true, writer: "the server itself; vanishes with its lease" },
  "server-address": { cluster: true, writer: "the server itself; garbage controller (removal)" },
} as const satisfies Readonly<Record<string, { cluster: boolean; writer: string }>>;

export type Kind = keyof typeof KINDS;

/** What a key says. */
export interface KeyParts {
  readonly project: string;
  readonly environment: string;
  readonly kind: Kind;
  /** The segments after the kind, unescaped; for kinds inside stacks the first is the stack. */
  readonly name: readonly string[];
}

/** Made and read for every object of every call: without lists, and most names need no escape. */
function key(project: string, environment: string, kind: Kind, ...name: string[]): string {
  let text = `${project}/${environment}/${kind}`;
  for (const part of name) text += `/${PLAIN_PATTERN.test(part) ? part : encodeURIComponent(part)}`;
  return text;
}

/** Names that `encodeURIComponent` leaves as they are. */
const PLAIN_PATTERN = /^[A-Za-z0-9._~-]*$/;

function clusterKey(kind: Kind, ...name: string[]): string {
  return key(CLUSTER_SCOPE, CLUSTER_SCOPE, kind, ...name);
}

function inStack(scope: StackScope, kind: Kind, ...name: string[]): string {
  return key(scope.project, scope.environment, kind, scope.stack, ...name);
}

/** The parts of a key of ours; `undefined` when it is none. */
export function parseKey(text: string): KeyParts | undefined {
  const [project, environment, kind, ...name] = text.split("/");
  if (project === undefined || environment === undefined || kind === undefined) return undefined;
  if (!Object.hasOwn(KINDS, kind) || name.length === 0) return undefined;
  const plain = text.includes("%") ? name.map(decodeURIComponent) : name;
  return { project, environment, kind: kind as Kind, name: plain };
}

/** What one may hold alone in the cluster; the claim's value names the holder. */
export type Claim =
  | {
      readonly kind: "host-port";
      readonly protocol: string;
      readonly address: string;
      readonly port: number;
    }
  | {
      readonly kind: "http-route";
      readonly host: string;
      readonly path: string;
      /** Kind of the path, method and headers, where the route has conditions. */
      readonly conditions?: string;
    }
  /** A name of TLS that is passed through on a port that names share; 0 is the platform's HTTPS port. */
  | { readonly kind: "tls-name"; readonly port: number; readonly host: string }
  | { readonly kind: "subnet"; readonly subnet: string }
  | { readonly kind: "address"; readonly networkId: string; readonly address: string }
  /** The virtual address of a service on a network: for as long as the stack declares the service. */
  | { readonly kind: "service-address"; readonly address: string }
  /** The VXLAN identifier of a network, from the moment that a second node takes part in it. */
  | { readonly kind: "overlay-id"; readonly id: number }
  | { readonly kind: "exclusive-volume"; readonly engineName: string }
  | { readonly kind: "slot"; readonly service: string; readonly slot: number };

function claimName(claim: Claim): string[] {
  switch (claim.kind) {
    case "host-port":
      return [claim.kind, claim.protocol, claim.address, String(claim.port)];
    case "http-route":
      return [
        claim.kind,
        claim.host,
        claim.path,
        ...(claim.conditions === undefined ? [] : [claim.conditions]),
      ];
    case "tls-name":
      return [claim.kind, String(claim.port), claim.host];
    case "subnet":
      return [claim.kind, claim.subnet];
    case "address":
      return [claim.kind, claim.networkId, claim.address];
    case "service-address":
      return [claim.kind, claim.address];
    case "overlay-id":
      return [claim.kind, String(claim.id)];
    case "exclusive-volume":
      return [claim.kind, claim.engineName];
    case "slot":
      return [claim.kind, claim.service, String(claim.slot)];
  }
}

export const keys = {
  stack: (scope: StackScope) => inStack(scope, "stack"),
  release: (scope: StackScope, number: number) =>
    inStack(scope, "release", String(number).padStart(8, "0")),
  scale: (scope: ServiceScope) => inStack(scope, "scale", scope.service),
  deployment: (scope: StackScope, id: string) => inStack(scope, "deployment", id),
  task: (scope: StackScope, id: string) => inStack(scope, "task", id),
  status: (scope: StackScope, id: string) => inStack(scope, "status", id),
  network: (scope: StackScope, name: string) => inStack(scope, "network", name),
  /** `slot` for volumes that each copy has one of. */
  volume: (scope: StackScope, name: string, slot?: number) =>
    inStack(scope, "volume", slot === undefined ? name : `${name}.${slot}`),
  secret: (scope: StackScope, name: string, version: string) =>
    inStack(scope, "secret", name, version),
  /** A login of a project, or of the cluster (`-`). */
  /** With "" as name the beginning of all keys of a stack's parameters. */
  parameter: (scope: StackScope, name: string) => inStack(scope, "parameter", name),
  /** A secret or config of an environment. With "" as name the beginning of all keys of the kind. */
  external: ({ project, environment }: EnvironmentScope, kind: string, name: string) =>
    key(project, environment, "external", kind, name),
  policy: (project: string) => key(project, CLUSTER_SCOPE, "policy", "project"),
  registry: (project: string, server: string) => key(project, CLUSTER_SCOPE, "registry", server),
  event: (project: string, environment: string, id: string) =>
    key(project, environment, "event", id),
  /** `-` as project and environment: for the whole cluster; likewise for `acme` and `sealed`. */
  certificate: ({ project, environment }: EnvironmentScope, name: string) =>
    key(project, environment, "certificate", name),
  acme: ({ project, environment }: EnvironmentScope) => key(project, environment, "acme", "self"),
  /** Private keys and the like: what it is of, and which. */
  sealed: ({ project, environment }: EnvironmentScope, ...name: string[]) =>
    key(project, environment, "sealed", ...name),
  authority: () => clusterKey("authority", "self"),
  node: (name: string) => clusterKey("node", name),
  nodeStatus: (name: string) => clusterKey("node-status", name),
  member: (node: string) => clusterKey("member", node),
  /** By the identifier of the member that was. */
  removal: (member: string) => clusterKey("removal", member),
  /** By the hash of the token. */
  joinToken: (hash: string) => clusterKey("join-token", hash),
  floatingAddress: (address: string) => clusterKey("floating-address", address),
  operation: (node: string, id: string) => clusterKey("operation", node, id),
  token: (hash: string) => clusterKey("token", hash),
  audit: (id: string) => clusterKey("audit", id),
  claim: (claim: Claim) => clusterKey("claim", ...claimName(claim)),
  idempotency: (idempotencyKey: string) => clusterKey("idempotency", idempotencyKey),
  /** Of a declared service: made for watches, never stored. */
  declaredService: ({ project, environment, stack, service }: ServiceScope) =>
    [project, environment, "service", ...[stack, service].map(encodeURIComponent)].join("/"),
  /** Of a node in a network: made for watches, never stored. */
  networkPeer: (networkId: string, node: string) =>
    [CLUSTER_SCOPE, CLUSTER_SCOPE, "peer", networkId, encodeURIComponent(node)].join("/"),
  cluster: () => clusterKey("cluster", "self"),
  /** The level of formats: see format-level.ts. */
  format: () => clusterKey("format", "self"),
  leader: () => clusterKey("leader", "self"),
  server: (id: string) => clusterKey("server", id),
  /** By the name of the machine as a node. */
  serverAddress: (node: string) => clusterKey("server-address", node),
} as const;
