/**
 * Every route of the API. Server, client, OpenAPI document and access rules are made from this table;
 * a handler is a function of (request, store, now) named as its row.
 */

import { Type } from "typebox";
import { Name } from "../names.ts";
import { ClusterTraceLine } from "../resources/cluster-trace.ts";
import { Network, Volume } from "../resources/network.ts";
import { NetworkCheckPair } from "../resources/network-check.ts";
import {
  Node,
  NodeAvailability,
  NodeChanges,
  NodeStanding,
  NodeStatus,
} from "../resources/node.ts";
import { STACK_PARAMETERS_MAX } from "../resources/parameter-limits.ts";
import { DeployPlan, Explanation } from "../resources/plan.ts";
import { PolicyInput, PolicyView } from "../resources/policy.ts";
import { AuditEntry, Event } from "../resources/record.ts";
import { RegistryLogin } from "../resources/registry.ts";
import { Release } from "../resources/release.ts";
import { RouteStanding } from "../resources/route-standing.ts";
import { Deployment, Scale, Stack } from "../resources/stack.ts";
import {
  ParameterName,
  ParameterWish,
  ResolvedParameters,
  StackParameter,
} from "../resources/stack-parameter.ts";
import { StackSpec } from "../resources/stack-spec.ts";
import { Task, TaskStatus } from "../resources/task.ts";
import { LogLine, WatchEvent, WatchRequest } from "../resources/watch.ts";
import { agentRoutes } from "./agent-routes.ts";
import { certificateRoutes } from "./certificate-routes.ts";
import { externalRoutes } from "./external-routes.ts";
import { ingressRoutes } from "./ingress-routes.ts";
import { joinRoutes } from "./join-routes.ts";
import { BLOB_BYTES_MAX, type RouteDescription } from "./route.ts";
import { serverRoutes } from "./server-routes.ts";

const ENV = "/v1/projects/{project}/environments/{environment}";
const STACK = `${ENV}/stacks/{stack}` as const;
const SERVICE = `${STACK}/services/{service}` as const;

const text = Type.Optional(Type.String());

/** Lists come in pages: `next` is the `after` of the following page, absent at the end. */
function page<Schema extends Parameters<typeof Type.Array>[0]>(items: Schema) {
  return Type.Object({ items: Type.Array(items), next: Type.Optional(Type.String()) });
}
const PageQuery = { after: text, limit: text } as const;

/** A task with its status beside it. */
export const TaskView = Type.Object({ task: Task, status: Type.Optional(TaskStatus) });
export const NodeView = Type.Object({ node: Node, status: Type.Optional(NodeStatus) });
/** Facts of a service that lists show. */
export const ServiceView = Type.Object({
  service: Type.String(),
  release: Type.Integer(),
  image: Type.String(),
  mode: Type.String(),
  wanted: Type.Integer(),
  running: Type.Integer(),
  ready: Type.Integer(),
  /** `http://hello.localhost:8080`, `0.0.0.0:5432 → 5432/tcp`. */
  reachable: Type.Array(Type.String()),
  state: Type.String(),
  scale: Type.Optional(Scale),
});
export const StackView = Type.Object({ stack: Stack, services: Type.Array(ServiceView) });
export const NetworkView = Type.Object({
  network: Network,
  /** Addresses that tasks have, or had until a moment ago. */
  addressesUsed: Type.Integer(),
  /** Addresses that tasks can have at all. */
  addressesTotal: Type.Integer(),
  /** Addresses of services on this network, by `STACK/SERVICE`. */
  serviceAddresses: Type.Record(Type.String(), Type.String()),
  /** Tasks, by `STACK/SERVICE-SLOT`, with their address. */
  attached: Type.Record(Type.String(), Type.String()),
  /** Its VXLAN identifier, where it spans hosts. */
  overlayId: Type.Optional(Type.Integer()),
  /** Nodes that take part, by name, with their address in it. */
  nodes: Type.Record(Type.String(), Type.String()),
});
export const VolumeView = Type.Object({
  volume: Volume,
  usedBy: Type.Array(Type.String()),
  /** How far the copy is that is being made. */
  progress: Type.Optional(Type.String()),
});

export const routes = {
  health: {
    method: "GET",
    path: "/healthz",
    summary: "The process is alive.",
    access: "public",
    answer: { kind: "text", mediaType: "text/plain" },
    errors: [],
  },
  readiness: {
    method: "GET",
    path: "/readyz",
    summary: "The server can serve reads and take writes.",
    access: "user",
    answer: { kind: "text", mediaType: "text/plain" },
    errors: ["unavailable"],
  },
  metrics: {
    method: "GET",
    path: "/metrics",
    summary: "Figures of the server in Prometheus' text format.",
    access: "user",
    answer: { kind: "text", mediaType: "text/plain; version=0.0.4" },
    errors: [],
  },
  openapi: {
    method: "GET",
    path: "/v1/openapi.json",
    summary: "This description.",
    access: "user",
    answer: { kind: "json", schema: Type.Unknown() },
    errors: [],
  },
  version: {
    method: "GET",
    path: "/v1/version",
    summary: "Version of the server, its protocol, its cluster and store epoch.",
    access: "user",
    answer: {
      kind: "json",
      schema: Type.Object({
        version: Type.String(),
        protocol: Type.Integer(),
        cluster: Type.String(),
        epoch: Type.String(),
        revision: Type.Number(),
        /** Where the ingress of this cluster listens. */
        ingressHttpPort: Type.Integer(),
      }),
    },
    errors: [],
  },
  watch: {
    method: "POST",
    path: "/v1/watch",
    summary: "What is selected, and every change of it.",
    access: "user",
    body: WatchRequest,
    answer: { kind: "stream", schema: WatchEvent },
    errors: ["position_gone", "too_many_requests"],
    unaudited: true,
  },
  listStacks: {
    method: "GET",
    path: `${ENV}/stacks`,
    summary: "Stacks of an environment with their services.",
    access: "user",
    query: Type.Object(PageQuery),
    answer: { kind: "json", schema: page(StackView) },
    errors: [],
  },
  getStack: {
    method: "GET",
    path: STACK,
    summary: "A stack with its services.",
    access: "user",
    answer: { kind: "json", schema: StackView },
    errors: ["not_found"],
  },
  removeStack: {
    method: "DELETE",
    path: STACK,
    summary:
      "Stops and removes a stack. Volumes stay unless `volumes` names them (comma separated).",
    access: "user",
    query: Type.Object({ volumes: text }),
    answer: { kind: "json", schema: Stack },
    errors: ["not_found", "still_in_use"],
  },
  deployStack: {
    method: "POST",
    path: `${STACK}/deployments`,
    summary: "Makes a release of the stack and moves the services to it.",
    access: "user",
    body: Type.Object({ spec: StackSpec }, { additionalProperties: false }),
    answer: { kind: "json", schema: Deployment },
    errors: ["invalid_stack", "claim_taken", "policy_denied", "limit_exceeded", "conflict"],
  },
  planStack: {
    method: "POST",
    path: `${STACK}/plan`,
    summary: "What a deployment would do. Changes nothing.",
    access: "user",
    body: Type.Object({ spec: StackSpec }, { additionalProperties: false }),
    answer: { kind: "json", schema: DeployPlan },
    errors: ["invalid_stack", "claim_taken", "policy_denied", "limit_exceeded"],
    unaudited: true,
  },
  resolveParameters: {
    method: "PUT",
    path: `${STACK}/parameters`,
    summary:
      "Values of a stack's parameters: given, kept from before, made up, or the file's own. Keeps what was given or made up, unless `dryRun`, and nothing while one is missing.",
    access: "user",
    body: Type.Object(
      {
        wishes: Type.Record(ParameterName, ParameterWish, { maxProperties: STACK_PARAMETERS_MAX }),
        dryRun: Type.Optional(Type.Boolean()),
      },
      { additionalProperties: false },
    ),
    answer: { kind: "json", schema: ResolvedParameters },
    errors: ["limit_exceeded", "conflict"],
  },
  listParameters: {
    method: "GET",
    path: `${STACK}/parameters`,
    summary: "Parameters that are kept for a stack: names and sources, never values.",
    access: "user",
    answer: { kind: "json", schema: Type.Object({ items: Type.Array(StackParameter) }) },
    errors: [],
  },
  showParameters: {
    method: "GET",
    path: `${STACK}/parameters/values`,
    summary: "Parameters that are kept for a stack, with their values.",
    access: "admin",
    answer: { kind: "json", schema: Type.Object({ items: Type.Array(StackParameter) }) },
    errors: [],
  },
  forgetParameter: {
    method: "DELETE",
    path: `${STACK}/parameters/{parameter}`,
    summary: "Forgets a kept parameter: the next deploy makes it up anew, or asks for it.",
    access: "user",
    answer: { kind: "json", schema: StackParameter },
    errors: ["not_found"],
  },
  getDeployment: {
    method: "GET",
    path: `${STACK}/deployments/{deployment}`,
    summary: "A deployment: pending, or what became of it.",
    access: "user",
    answer: { kind: "json", schema: Deployment },
    errors: ["not_found"],
  },
  listReleases: {
    method: "GET",
    path: `${STACK}/releases`,
    summary: "Releases of a stack, newest first.",
    access: "user",
    query: Type.Object(PageQuery),
    answer: { kind: "json", schema: page(Release) },
    errors: ["not_found"],
  },
  getRelease: {
    method: "GET",
    path: `${STACK}/releases/{release}`,
    summary: "One release.",
    access: "user",
    answer: { kind: "json", schema: Release },
    errors: ["not_found"],
  },
  rollbackStack: {
    method: "POST",
    path: `${STACK}/rollback`,
    summary:
      "Moves the stack to an earlier release; the last good one before the current by default.",
    access: "user",
    body: Type.Object(
      { release: Type.Optional(Type.Integer({ minimum: 1 })) },
      { additionalProperties: false },
    ),
    answer: { kind: "json", schema: Stack },
    errors: ["not_found", "conflict"],
  },
  scaleService: {
    method: "PUT",
    path: `${SERVICE}/scale`,
    summary: "Sets the number of copies until the file's number changes.",
    access: "user",
    body: Type.Object(
      { copies: Type.Integer({ minimum: 0, maximum: 100_000 }) },
      { additionalProperties: false },
    ),
    answer: { kind: "json", schema: Scale },
    errors: ["not_found", "conflict", "invalid_stack"],
  },
  restartService: {
    method: "POST",
    path: `${SERVICE}/restart`,
    summary: "Replaces every copy of the service, by its update rules.",
    access: "user",
    answer: { kind: "json", schema: Stack },
    errors: ["not_found", "conflict"],
  },
  explainService: {
    method: "GET",
    path: `${SERVICE}/explain`,
    summary: "Why the service is, or is not, as it should be.",
    access: "user",
    answer: { kind: "json", schema: Explanation },
    errors: ["not_found"],
  },
  listTasks: {
    method: "GET",
    path: `${ENV}/tasks`,
    summary: "Tasks of an environment; ended ones too with `all`.",
    access: "user",
    query: Type.Object({ ...PageQuery, stack: text, service: text, node: text, all: text }),
    answer: { kind: "json", schema: page(TaskView) },
    errors: [],
  },
  readLogs: {
    method: "GET",
    path: `${STACK}/logs`,
    summary: "Log lines of a stack, a service or a task, in order of time.",
    access: "user",
    query: Type.Object({
      service: text,
      task: text,
      release: text,
      follow: text,
      tail: text,
      since: text,
      until: text,
    }),
    answer: { kind: "stream", schema: LogLine },
    errors: ["not_found", "node_unreachable"],
  },
  listRoutes: {
    method: "GET",
    path: `${ENV}/routes`,
    summary: "Routes of the environment: who has which host, path or port, and how they stand.",
    access: "user",
    query: Type.Object({ stack: text }),
    answer: {
      kind: "json",
      schema: Type.Object({
        routes: Type.Array(RouteStanding),
        /** Nodes that did not answer: what they serve is missing. */
        missing: Type.Array(Type.Object({ node: Type.String(), message: Type.String() })),
      }),
    },
    errors: [],
  },
  readAccessLog: {
    method: "GET",
    path: `${ENV}/access-log`,
    summary: "Requests from outside to services of the environment, as HAProxy logged them.",
    access: "user",
    query: Type.Object({ stack: text, service: text, follow: text, tail: text }),
    answer: { kind: "stream", schema: Type.Unknown() },
    errors: ["node_unreachable", "invalid_request"],
  },
  execTask: {
    method: "GET",
    path: `${ENV}/tasks/{task}/exec`,
    summary: "Runs a command in a task's container. `request` is the JSON of an exec request.",
    access: "user",
    query: Type.Object({ request: Type.String({ maxLength: 32_768 }) }),
    answer: { kind: "upgrade" },
    errors: ["not_found", "node_unreachable", "conflict"],
  },
  pauseTask: {
    method: "POST",
    path: `${ENV}/tasks/{task}/pause`,
    summary: "Takes a copy out of service while it runs on. The last ready one only with `force`.",
    access: "user",
    body: Type.Object(
      {
        reason: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
        force: Type.Optional(Type.Boolean()),
      },
      { additionalProperties: false },
    ),
    answer: { kind: "json", schema: Task },
    errors: ["not_found", "conflict", "last_ready_copy"],
  },
  resumeTask: {
    method: "POST",
    path: `${ENV}/tasks/{task}/resume`,
    summary: "Puts a paused copy back into service: it gets requests once its checks are good.",
    access: "user",
    answer: { kind: "json", schema: Task },
    errors: ["not_found", "conflict"],
  },
  listVolumes: {
    method: "GET",
    path: `${ENV}/volumes`,
    summary: "Volumes of an environment with who uses them.",
    access: "user",
    query: Type.Object({ ...PageQuery, stack: text }),
    answer: { kind: "json", schema: page(VolumeView) },
    errors: [],
  },
  removeVolume: {
    method: "DELETE",
    path: `${STACK}/volumes/{volume}`,
    summary: "Removes a volume and its data. Refused while a task uses it.",
    access: "user",
    answer: { kind: "json", schema: Volume },
    errors: ["not_found", "still_in_use", "node_unreachable"],
  },
  getVolume: {
    method: "GET",
    path: `${STACK}/volumes/{volume}`,
    summary: "One volume, who uses it, and what is being done with it.",
    access: "user",
    answer: { kind: "json", schema: VolumeView },
    errors: ["not_found"],
  },
  backupVolume: {
    method: "GET",
    path: `${STACK}/volumes/{volume}/content`,
    summary:
      "The volume's archive with its checksum behind it. Its users are stopped meanwhile, unless `live`.",
    access: "admin",
    query: Type.Object({ live: text }),
    answer: { kind: "bytes" },
    errors: ["not_found", "conflict", "node_unreachable", "timed_out", "too_many_requests"],
  },
  restoreVolume: {
    method: "GET",
    path: `${STACK}/volumes/{volume}/restore`,
    summary:
      "Takes an archive of a backup as `data` frames and makes it the volume's content. Its users are stopped meanwhile.",
    access: "admin",
    answer: { kind: "upgrade" },
    errors: ["not_found", "conflict", "node_unreachable", "timed_out"],
  },
  moveVolume: {
    method: "POST",
    path: `${STACK}/volumes/{volume}/move`,
    summary: "Begins to move a volume: stops its users, copies, and starts them where it is then.",
    access: "user",
    body: Type.Object({ to: Name }, { additionalProperties: false }),
    answer: { kind: "json", schema: Volume },
    errors: ["not_found", "conflict", "node_unreachable", "policy_denied"],
  },
  listNetworks: {
    method: "GET",
    path: `${ENV}/networks`,
    summary: "Networks of an environment, how full they are, and who is on them.",
    access: "user",
    query: Type.Object({ ...PageQuery, stack: text }),
    answer: { kind: "json", schema: page(NetworkView) },
    errors: [],
  },
  removeNetwork: {
    method: "DELETE",
    path: `${STACK}/networks/{network}`,
    summary:
      "Removes a network that nobody is on, with the addresses of its services. The next copy that needs it makes it anew.",
    access: "user",
    answer: { kind: "json", schema: Network },
    errors: ["not_found", "still_in_use"],
  },
  listEvents: {
    method: "GET",
    path: `${ENV}/events`,
    summary: "Events of an environment, oldest first.",
    access: "user",
    query: Type.Object({ ...PageQuery, stack: text, service: text, since: text }),
    answer: { kind: "json", schema: page(Event) },
    errors: [],
  },
  listClusterEvents: {
    method: "GET",
    path: "/v1/events",
    summary: "Events of nodes and of the cluster itself, oldest first.",
    access: "user",
    query: Type.Object(PageQuery),
    answer: { kind: "json", schema: page(Event) },
    errors: [],
  },
  listAudit: {
    method: "GET",
    path: "/v1/audit",
    summary: "Who changed what, oldest first.",
    access: "admin",
    query: Type.Object({ ...PageQuery, since: text }),
    answer: { kind: "json", schema: page(AuditEntry) },
    errors: [],
  },
  listNodes: {
    method: "GET",
    path: "/v1/nodes",
    summary: "Nodes of the cluster.",
    access: "user",
    query: Type.Object(PageQuery),
    answer: { kind: "json", schema: page(NodeView) },
    errors: [],
  },
  getNode: {
    method: "GET",
    path: "/v1/nodes/{node}",
    summary: "One node.",
    access: "user",
    answer: { kind: "json", schema: NodeView },
    errors: ["not_found"],
  },
  setNodeAvailability: {
    method: "PUT",
    path: "/v1/nodes/{node}/availability",
    summary: "Takes a node out of scheduling (cordoned, draining) or back in (active).",
    access: "admin",
    body: Type.Object({ availability: NodeAvailability }, { additionalProperties: false }),
    answer: { kind: "json", schema: Node },
    errors: ["not_found", "conflict"],
  },
  getPolicy: {
    method: "GET",
    path: "/v1/projects/{project}/policy",
    summary:
      "What stack files of a project may ask of their hosts, how they are placed, its quota and its use.",
    access: "user",
    answer: { kind: "json", schema: PolicyView },
    errors: [],
  },
  putPolicy: {
    method: "PUT",
    path: "/v1/projects/{project}/policy",
    summary:
      "Sets what stack files of a project may ask of their hosts, strategy and quota; what runs already goes on.",
    access: "admin",
    body: PolicyInput,
    answer: { kind: "json", schema: PolicyView },
    errors: ["conflict"],
  },
  changeNode: {
    method: "POST",
    path: "/v1/nodes/{node}",
    summary: "Sets labels, taints and countable resources of a node; null takes one away.",
    access: "admin",
    body: NodeChanges,
    answer: { kind: "json", schema: Node },
    errors: ["not_found", "conflict", "limit_exceeded"],
  },
  listRegistries: {
    method: "GET",
    path: "/v1/registries",
    summary: "Logins at image registries: the cluster's, and those of a project. Never passwords.",
    access: "user",
    query: Type.Object({ project: text }),
    answer: { kind: "json", schema: Type.Object({ items: Type.Array(RegistryLogin) }) },
    errors: [],
  },
  putRegistry: {
    method: "PUT",
    path: "/v1/registries/{server}",
    summary: "Keeps a login at a registry, for one project or for all. Nodes use it from now on.",
    access: "admin",
    body: Type.Object(
      {
        project: Type.Optional(Name),
        username: Type.String({ minLength: 1, maxLength: 255 }),
        password: Type.String({ minLength: 1, maxLength: 16_384 }),
      },
      { additionalProperties: false },
    ),
    answer: { kind: "json", schema: RegistryLogin },
    errors: ["limit_exceeded"],
  },
  removeRegistry: {
    method: "DELETE",
    path: "/v1/registries/{server}",
    summary: "Forgets a login at a registry.",
    access: "admin",
    query: Type.Object({ project: text }),
    answer: { kind: "json", schema: RegistryLogin },
    errors: ["not_found"],
  },
  ...certificateRoutes,
  ...externalRoutes,
  putBlob: {
    method: "PUT",
    path: "/v1/blobs/{digest}",
    summary: "Stores bytes under their SHA-256.",
    access: "user",
    bodyBytes: true,
    bodyBytesMax: BLOB_BYTES_MAX,
    answer: { kind: "empty" },
    errors: ["body_too_large", "storage_full"],
  },
  hasBlobs: {
    method: "POST",
    path: "/v1/blobs/missing",
    summary: "Which of these blobs the server does not have.",
    access: "user",
    body: Type.Object({ digests: Type.Array(Type.String(), { maxItems: 10_000 }) }),
    answer: { kind: "json", schema: Type.Object({ missing: Type.Array(Type.String()) }) },
    errors: [],
    unaudited: true,
  },
  getBlob: {
    method: "GET",
    path: "/v1/blobs/{digest}",
    summary: "The bytes of a blob.",
    access: "user",
    answer: { kind: "bytes" },
    errors: ["not_found"],
  },
  snapshotStore: {
    method: "GET",
    path: "/v1/store/snapshot",
    summary:
      "Every entry of the store at one revision, a line each, and how many there were. For backups.",
    access: "admin",
    answer: {
      kind: "stream",
      schema: Type.Union([
        Type.Object({ key: Type.String(), value: Type.String() }),
        Type.Object({ entries: Type.Integer(), revision: Type.Number() }),
      ]),
    },
    errors: ["unavailable"],
  },
  debugLoops: {
    method: "GET",
    path: "/v1/debug/loops",
    summary: "Status of every loop of the server.",
    access: "admin",
    answer: { kind: "json", schema: Type.Object({ loops: Type.Array(Type.Unknown()) }) },
    errors: [],
  },
  checkNetworks: {
    method: "GET",
    path: "/v1/debug/networks",
    summary:
      "Whether networks reach from node to node: every pair is tried by a copy on the other.",
    access: "admin",
    query: Type.Object({ from: text, to: text }),
    answer: { kind: "json", schema: Type.Object({ pairs: Type.Array(NetworkCheckPair) }) },
    errors: ["not_found", "limit_exceeded"],
  },
  ...joinRoutes,
  ...serverRoutes,
  ...ingressRoutes,
  getNodeStanding: {
    method: "GET",
    path: "/v1/nodes/{node}/standing",
    summary: "A node with its copies, and what each of them waits for.",
    access: "user",
    /** `elsewhere=true`: where each free copy would go if the node were drained now. */
    query: Type.Object({ elsewhere: text }),
    answer: { kind: "json", schema: NodeStanding },
    errors: ["not_found"],
  },
  readClusterTrace: {
    method: "GET",
    path: "/v1/cluster/trace",
    summary: "Nodes and running tasks as a trace for berth sim (docs/reference/sim.md).",
    access: "admin",
    answer: { kind: "stream", schema: ClusterTraceLine },
    errors: [],
  },
  ...agentRoutes,
} as const satisfies Readonly<Record<string, RouteDescription>>;

export type Routes = typeof routes;
export type RouteId = keyof Routes;
