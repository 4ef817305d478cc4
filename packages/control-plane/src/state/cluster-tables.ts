/**
 * Every kind of object that decisions look at, each in a table with its indices.
 *
 * `ClusterView` is what pure functions take: the live tables of `ClusterState`, or tables that a test has
 * filled by hand. Audit and idempotency entries are not held: nothing decides by them and they are many.
 * Logins at registries are not held either: only agents ask for them, seldom.
 * Of secrets only the names are held, of sealed keys nothing: they stay in the store, encrypted.
 *
 * Design page: docs/design/state.md.
 */

import type {
  AcmeSettings,
  Authority,
  Certificate,
  Claim,
  Deployment,
  EnvironmentScope,
  Event,
  FloatingAddress,
  JoinToken,
  Kind,
  Member,
  Network,
  Node,
  NodeStatus,
  Operation,
  ProjectPolicy,
  Release,
  Removal,
  Scale,
  ServerAddress,
  Stack,
  StackScope,
  Task,
  TaskStatus,
  Token,
  Volume,
} from "@berth/protocol";
import { parseKey, serviceKey, stackKey } from "@berth/protocol";
import type {
  ClaimHolder,
  ClusterIdentity,
  FormatRow,
  Leadership,
  ServerPresence,
} from "./claim-holder.ts";
import { deviceKindsTerm } from "./device-kinds.ts";
import { EntityTable, type ReadTable } from "./entity-table.ts";

/** A version of a secret that the store has; the content is not held. */
export interface SecretName extends StackScope {
  readonly name: string;
  readonly version: string;
}

/** The type of the value of each held kind. */
export interface Held {
  readonly stack: Stack;
  readonly release: Release;
  readonly scale: Scale;
  readonly deployment: Deployment;
  readonly task: Task;
  readonly status: TaskStatus;
  readonly network: Network;
  readonly volume: Volume;
  readonly secret: SecretName;
  readonly event: Event;
  readonly certificate: Certificate;
  readonly acme: AcmeSettings;
  readonly policy: ProjectPolicy;
  readonly authority: Authority;
  readonly node: Node;
  readonly "node-status": NodeStatus;
  readonly member: Member;
  readonly "join-token": JoinToken;
  readonly "floating-address": FloatingAddress;
  readonly removal: Removal;
  readonly operation: Operation;
  readonly token: Token;
  readonly claim: ClaimHolder;
  readonly cluster: ClusterIdentity;
  readonly format: FormatRow;
  readonly leader: Leadership;
  readonly server: ServerPresence;
  readonly "server-address": ServerAddress;
}
export type HeldKind = keyof Held;

/** Kinds that are not held. */
export const UNHELD = new Set<Kind>([
  "audit",
  "external",
  "idempotency",
  "parameter",
  "registry",
  "sealed",
]);

/** Objects of the cluster as of one revision; see each field for what it is found by. */
export interface ClusterView {
  /** By `environment` (`default/main`). */
  readonly stacks: ReadTable<Stack, "environment">;
  /** By `stack` (`default/main/shop`), in order of number. */
  readonly releases: ReadTable<Release, "stack">;
  readonly scales: ReadTable<Scale, "stack">;
  readonly deployments: ReadTable<Deployment, "stack" | "state">;
  /** By `service` (`default/main/shop/web`), `stack`, `environment`, `node` and `id`. */
  readonly tasks: ReadTable<Task, "service" | "stack" | "environment" | "node" | "id">;
  /** By the identifier of the `task` and by `node`. */
  readonly statuses: ReadTable<TaskStatus, "task" | "node">;
  /** By `stack`, `environment` and the network's own `id`. */
  readonly networks: ReadTable<Network, "stack" | "environment" | "id">;
  readonly volumes: ReadTable<Volume, "stack" | "environment" | "engineName" | "held">;
  readonly secrets: ReadTable<SecretName, "stack">;
  readonly events: ReadTable<Event, "environment">;
  /**
   * By `environment` (cluster-wide ones under `-/-`); those of people alone by `own`, automatic ones by
   * `automatic` (see `automaticTerm`): a route's certificate is found without looking at all others'.
   */
  readonly certificates: ReadTable<Certificate, "environment" | "own" | "automatic">;
  /** One an environment at most, and one for the cluster. */
  readonly acme: ReadTable<AcmeSettings>;
  /** One a project at most. */
  readonly policies: ReadTable<ProjectPolicy>;
  readonly authority: ReadTable<Authority>;
  readonly nodes: ReadTable<Node>;
  /** By the kinds of devices that they report. */
  readonly nodeStatuses: ReadTable<NodeStatus, "devices">;
  readonly members: ReadTable<Member>;
  readonly joinTokens: ReadTable<JoinToken>;
  readonly floatingAddresses: ReadTable<FloatingAddress>;
  readonly removals: ReadTable<Removal>;
  /** By `node`, `stack` and `id`. */
  readonly operations: ReadTable<Operation, "node" | "stack" | "id">;
  readonly tokens: ReadTable<Token>;
  /**
   * By `kind` of claim, by the `stack` of the holder, by both (`held`), by `network` for addresses; those of
   * nodes by `node` and by `node-address`, overlays' identifiers by `overlay`.
   */
  readonly claims: ReadTable<ClaimHolder, ClaimIndex>;
  readonly cluster: ReadTable<ClusterIdentity>;
  /** One row at most. */
  readonly formats: ReadTable<FormatRow>;
  readonly leader: ReadTable<Leadership>;
  readonly servers: ReadTable<ServerPresence>;
  readonly serverAddresses: ReadTable<ServerAddress>;
}

type ClaimIndex =
  | "kind"
  | "stack"
  | "held"
  | "network"
  | "service-address"
  | "node"
  | "node-address"
  | "overlay";

/** The tables themselves, with their writing side. One writer: whoever follows the store. */
export class ClusterTables implements ClusterView {
  readonly stacks = new EntityTable<Stack, "environment">({ environment: environmentOf });
  readonly releases = new EntityTable<Release, "stack">({ stack: stackKey });
  readonly scales = new EntityTable<Scale, "stack">({ stack: stackKey });
  readonly deployments = new EntityTable<Deployment, "stack" | "state">({
    stack: stackKey,
    state: (deployment) => deployment.state,
  });
  readonly tasks = new EntityTable<Task, "service" | "stack" | "environment" | "node" | "id">({
    service: serviceKey,
    stack: stackKey,
    environment: environmentOf,
    node: (task) => task.node,
    id: (task) => task.id,
  });
  readonly statuses = new EntityTable<TaskStatus, "task" | "node">({
    task: (status) => status.task,
    node: (status) => status.node,
  });
  readonly networks = new EntityTable<Network, "stack" | "environment" | "id">({
    stack: stackKey,
    environment: environmentOf,
    id: (network) => network.id,
  });
  readonly volumes = new EntityTable<Volume, "stack" | "environment" | "engineName" | "held">({
    stack: stackKey,
    environment: environmentOf,
    engineName: (volume) => volume.engineName,
    held: (volume) => (volume.hold === undefined ? undefined : "held"),
  });
  readonly secrets = new EntityTable<SecretName, "stack">({ stack: stackKey });
  readonly events = new EntityTable<Event, "environment">({ environment: environmentOf });
  readonly certificates = new EntityTable<Certificate, "environment" | "own" | "automatic">({
    environment: environmentOf,
    own: (certificate) => (certificate.automatic ? undefined : environmentOf(certificate)),
    automatic: (certificate) =>
      certificate.automatic ? automaticTerm(certificate, certificate.hosts[0] ?? "") : undefined,
  });
  readonly acme = new EntityTable<AcmeSettings>({});
  readonly policies = new EntityTable<ProjectPolicy>({});
  readonly authority = new EntityTable<Authority>({});
  readonly nodes = new EntityTable<Node>({});
  readonly nodeStatuses = new EntityTable<NodeStatus, "devices">({ devices: deviceKindsTerm });
  readonly members = new EntityTable<Member>({});
  readonly joinTokens = new EntityTable<JoinToken>({});
  readonly floatingAddresses = new EntityTable<FloatingAddress>({});
  readonly removals = new EntityTable<Removal>({});
  readonly operations = new EntityTable<Operation, "node" | "stack" | "id">({
    node: (operation) => operation.node,
    stack: stackKey,
    id: (operation) => operation.id,
  });
  readonly tokens = new EntityTable<Token>({});
  readonly claims = new EntityTable<ClaimHolder, ClaimIndex>({
    kind: (_holder, key) => claimPart(key, 0),
    stack: (holder) => holder.stack,
    held: (holder, key) => heldTerm(holder.stack, claimPart(key, 0) ?? ""),
    network: (_holder, key) =>
      claimPart(key, 0) === ("address" satisfies Claim["kind"]) ? claimPart(key, 1) : undefined,
    "service-address": ({ stack, service, network }, key) =>
      claimPart(key, 0) === ("service-address" satisfies Claim["kind"])
        ? serviceAddressTerm({ stack, service, network })
        : undefined,
    node: ({ node }) => node,
    "node-address": ({ node }, key) =>
      node === undefined ? undefined : nodeAddressTerm(claimPart(key, 1) ?? "", node),
    overlay: ({ network }, key) =>
      claimPart(key, 0) === ("overlay-id" satisfies Claim["kind"]) ? network : undefined,
  });
  readonly cluster = new EntityTable<ClusterIdentity>({});
  readonly formats = new EntityTable<FormatRow>({});
  readonly leader = new EntityTable<Leadership>({});
  readonly servers = new EntityTable<ServerPresence>({});
  readonly serverAddresses = new EntityTable<ServerAddress>({});

  /** The table of a kind. */
  table<K extends HeldKind>(kind: K): EntityTable<Held[K], string> {
    return this.#tables[kind] as unknown as EntityTable<Held[K], string>;
  }

  kinds(): readonly HeldKind[] {
    return Object.keys(this.#tables) as HeldKind[];
  }

  // One place that ties kinds to tables; `table` gives the pair its type back.
  readonly #tables: Readonly<Record<HeldKind, unknown>> = {
    stack: this.stacks,
    release: this.releases,
    scale: this.scales,
    deployment: this.deployments,
    task: this.tasks,
    status: this.statuses,
    network: this.networks,
    volume: this.volumes,
    secret: this.secrets,
    event: this.events,
    certificate: this.certificates,
    acme: this.acme,
    policy: this.policies,
    authority: this.authority,
    node: this.nodes,
    "node-status": this.nodeStatuses,
    member: this.members,
    "join-token": this.joinTokens,
    "floating-address": this.floatingAddresses,
    removal: this.removals,
    operation: this.operations,
    token: this.tokens,
    claim: this.claims,
    cluster: this.cluster,
    format: this.formats,
    leader: this.leader,
    server: this.servers,
    "server-address": this.serverAddresses,
  };
}

/** `default/main`: what environment-wide lists are found by. */
export function environmentOf(scope: {
  readonly project: string;
  readonly environment: string;
}): string {
  return `${scope.project}/${scope.environment}`;
}

/** The term of the index `automatic`: the certificate that was made for a host's routes. */
export function automaticTerm(scope: EnvironmentScope, host: string): string {
  return `${environmentOf(scope)} ${host}`;
}

/** The term of the index `held`: claims of one kind of one stack. */
export function heldTerm(stack: string, kind: string): string {
  return `${stack} ${kind}`;
}

/** The term of the index `service-address`: the one of a service on a network. */
export function serviceAddressTerm({
  stack,
  service,
  network,
}: {
  readonly stack: string;
  readonly service: string | undefined;
  readonly network: string | undefined;
}): string {
  return `${network} ${stack}/${service}`;
}

/** The term of the index `node-address`: the one of a node in a network. */
export function nodeAddressTerm(network: string, node: string): string {
  return `${network} ${node}`;
}

function claimPart(key: string, index: number): string | undefined {
  return parseKey(key)?.name[index];
}
