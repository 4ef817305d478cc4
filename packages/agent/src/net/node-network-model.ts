/**
 * What this node's data plane is to follow, from what the agent knows: assignments, where each task stands
 * on this node, networks. Pure; a name or a copy is there without the server being asked.
 *
 * A name exists from the moment that its service is declared, which the server tells for the networks of
 * this node; its addresses only while copies are ready. What was ready and is no more (unready, draining,
 * stopping) is `draining`: no new request, open connections live on. Of tasks of this node its own
 * knowledge counts, of others the server's. O(tasks + services and copies of others on their networks).
 */

import {
  type AttachmentModel,
  type EndpointModel,
  MODEL_FORMAT,
  type NetworkModel,
  type NodeNetworkModel,
  type ServiceModel,
  serviceKey,
} from "@berth/network";
import {
  type Assignment,
  type Attachment,
  type DeclaredIngress,
  type DeclaredService,
  type Network,
  type NetworkNeighbor,
  servedPorts,
} from "@berth/protocol";
import type { ToldTask } from "../state/agent-state.ts";
import type { TaskRecord } from "../task/record.ts";
import type { ServedCertificates } from "./node-certificates.ts";
import { httpRoutesOf, type RoutedService, tcpPortsOf, udpPortsOf } from "./node-routes.ts";
import { ingressNetworks, type OverlaySource, overlayModels, underlayOf } from "./overlay-model.ts";

export interface ModelInput {
  readonly cluster: string;
  readonly told: Iterable<ToldTask>;
  readonly records: ReadonlyMap<string, TaskRecord>;
  /** The container of a task's present attempt runs. */
  readonly isAlive: (record: TaskRecord) => boolean;
  readonly networks: ReadonlyMap<string, Network>;
  /** Declared services and tasks of other nodes, as the server told; also of networks not carried here. */
  readonly services?: readonly DeclaredService[];
  readonly neighbors?: Iterable<NetworkNeighbor>;
  /** How networks reach other nodes; they end at this one when absent. */
  readonly overlay?: OverlaySource;
  readonly ingress: NodeNetworkModel["ingress"];
  /** Of routes with TLS; none when absent. */
  readonly certificates?: ServedCertificates;
  /** Lines of a secret that names the users of a route; `undefined` while they are not known. */
  readonly usersOf?: (assignment: Assignment, secret: string) => string | undefined;
  /** As `usersOf`, of a service without a copy here. */
  readonly usersAtDoor?: (service: DeclaredService, secret: string) => string | undefined;
  readonly domain: string;
  readonly forwarders: readonly string[];
  readonly hostPolicy: NodeNetworkModel["hostPolicy"];
}

/** The model without its generation, which the sender gives. */
export type ModelContent = Omit<NodeNetworkModel, "generation">;

/** A task that has, or is about to have, a container. */
interface Present {
  readonly assignment: Assignment;
  readonly record: TaskRecord;
  readonly attachments: readonly Attachment[];
}

/** At most 8 characters of `a-z0-9`, as interface and table names need. */
export function shortCluster(cluster: string): string {
  return (
    cluster
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, "")
      .slice(0, 8) || "x"
  );
}

/** Interface names have 15 characters: five tell clusters of one host apart, eight are the network's. */
export function bridgeName(cluster: string, networkId: string): string {
  return `b${shortCluster(cluster).slice(0, 5)}-${networkId}`;
}

export function nodeNetworkModel(input: ModelInput): ModelContent {
  const present = presentTasks(input);
  const specs = newestOfServices(present);
  const networks = networksOf(input, present);
  const carried = new Map(networks.map((network) => [network.id, network]));
  const neighbors = neighborsOn(input, carried);
  const underlay = underlayOf(input.overlay, networks);
  const routed = routedServices(input, specs, carried);
  const udpPorts = routed.flatMap(udpPortsOf);
  return {
    format: MODEL_FORMAT,
    cluster: { id: shortCluster(input.cluster) },
    domain: input.domain,
    networks,
    ...(underlay === undefined ? {} : { underlay }),
    services: servicesOf(input, present, { specs, carried }),
    endpoints: [
      ...present.flatMap((task) => endpointsOf(task, input)),
      ...neighbors.flatMap(endpointOfNeighbor),
    ],
    attachments: [...present.flatMap(attachmentsOf), ...neighbors.map(attachmentOfNeighbor)],
    ingress: {
      ...input.ingress,
      httpRoutes: routed.flatMap(httpRoutesOf),
      tcpPorts: routed.flatMap((each) => tcpPortsOf(each, input.ingress.httpsPort)),
    },
    ...(udpPorts.length === 0 ? {} : { udpPorts }),
    forwarders: input.forwarders,
    hostPolicy: input.hostPolicy,
    ...input.certificates,
  };
}

function presentTasks({ told, records }: ModelInput): Present[] {
  const byId = new Map([...told].map((each) => [each.assignment.task.id, each.assignment]));
  const present: Present[] = [];
  for (const [id, assignment] of [...byId].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const record = records.get(id);
    if (record === undefined || record.state === "assigned") continue;
    if (record.state === "ended" || record.state === "removed") continue;
    present.push({ assignment, record, attachments: attachmentsFor(assignment, byId) });
  }
  return present;
}

/** Members of a pod that share its network answer at the address of its first task. */
function attachmentsFor(
  { task, spec }: Assignment,
  all: ReadonlyMap<string, Assignment>,
): readonly Attachment[] {
  const shares = spec.podShares ?? ["network"];
  if (task.podTask === undefined || !shares.includes("network")) return task.attachments;
  return all.get(task.podTask)?.task.attachments ?? [];
}

/** One task of each service: of its newest release, which says what is published and how. */
function newestOfServices(present: readonly Present[]): ReadonlyMap<string, Present> {
  const newest = new Map<string, Present>();
  for (const task of present) {
    const key = serviceKey(task.assignment.task);
    const known = newest.get(key);
    if (known === undefined || known.assignment.task.release < task.assignment.task.release) {
      newest.set(key, task);
    }
  }
  return newest;
}

function networksOf(input: ModelInput, present: readonly Present[]): NetworkModel[] {
  const used = new Set(present.flatMap(({ attachments }) => attachments.map((a) => a.networkId)));
  const { overlay: ways } = input;
  if (ways !== undefined) {
    for (const id of ingressNetworks(ways.peers, ways.node)) used.add(id);
  }
  const overlays = overlayModels(input.overlay);
  const models: NetworkModel[] = [];
  for (const id of [...used].sort()) {
    const network = input.networks.get(id);
    if (network === undefined) continue;
    const { project, environment, stack, name, subnet, gateway, internal } = network;
    const { subnet6, gateway6, serviceRange, serviceRange6 } = network;
    const bridge = bridgeName(input.cluster, id);
    const overlay = input.overlay?.hasBridge(bridge) === true ? overlays.get(id) : undefined;
    models.push({
      ...{ id, project, environment, stack, name, bridge, subnet, gateway, internal },
      ...(subnet6 === undefined || gateway6 === undefined ? {} : { subnet6, gateway6 }),
      ...(serviceRange === undefined ? {} : { serviceRange }),
      ...(serviceRange6 === undefined ? {} : { serviceRange6 }),
      ...(overlay === undefined ? {} : { overlay }),
    });
  }
  return models;
}

/**
 * Services with a task here and services that are declared. The newer release says what a service is;
 * on a network that it leaves it keeps its name until its last copy has gone.
 */
function servicesOf(
  { networks, services: told = [] }: ModelInput,
  present: readonly Present[],
  on: {
    readonly specs: ReadonlyMap<string, Present>;
    readonly carried: ReadonlyMap<string, NetworkModel>;
  },
): ServiceModel[] {
  const services = new Map<string, ServiceModel>();
  for (const [key, task] of on.specs) services.set(key, serviceModel(task, networks));
  for (const declared of told) {
    const key = serviceKey(declared);
    const local = on.specs.get(key);
    const model = declaredModel(declared, on.carried);
    if (model.networks.length === 0) continue;
    const isOlder = local !== undefined && local.assignment.task.release > declared.release;
    const known = isOlder ? services.get(key) : undefined;
    services.set(key, known === undefined ? model : withAddressesOf(model, known));
  }
  for (const task of present) {
    const key = serviceKey(task.assignment.task);
    const known = services.get(key);
    if (known === undefined) continue;
    const named = new Set(known.networks.map(({ networkId }) => networkId));
    const left = serviceModel(task, networks).networks.filter((each) => !named.has(each.networkId));
    if (left.length > 0) services.set(key, { ...known, networks: [...known.networks, ...left] });
  }
  return [...services].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, model]) => model);
}

/**
 * The addresses of a service are no release's: clients keep them over a rollout, and over a rollback, in which
 * the copies here are of a newer release than the declaration until the last of them is gone.
 */
function withAddressesOf(declared: ServiceModel, service: ServiceModel): ServiceModel {
  const networks = service.networks.map((use) => {
    const told = declared.networks.find(({ networkId }) => networkId === use.networkId);
    const { virtualAddress, virtualAddress6 } = told ?? {};
    return {
      ...use,
      ...(virtualAddress === undefined ? {} : { virtualAddress }),
      ...(virtualAddress6 === undefined ? {} : { virtualAddress6 }),
    };
  });
  const { affinity } = declared;
  return { ...service, networks, ...(affinity === undefined ? {} : { affinity }) };
}

/**
 * A container whose networks are all internal has no route to an address outside of them: names on those
 * answer the copies themselves.
 */
function declaredModel(
  declared: DeclaredService,
  carried: ReadonlyMap<string, NetworkModel>,
): ServiceModel {
  const { project, environment, stack, service, endpointMode, ports, networks } = declared;
  const { affinity } = declared;
  const on = networks.flatMap((use) => {
    const network = carried.get(use.networkId);
    if (network === undefined) return [];
    return [network.internal ? { networkId: use.networkId, aliases: use.aliases } : use];
  });
  return {
    ...{ project, environment, stack, service, networks: on, endpointMode, ports },
    ...(affinity === undefined ? {} : { affinity }),
  };
}

/** An attachment of a task of another node, on a network that this node carries. */
interface Neighbor {
  readonly task: NetworkNeighbor;
  readonly attachment: Attachment;
}

function neighborsOn(
  { neighbors = [] }: ModelInput,
  carried: ReadonlyMap<string, unknown>,
): Neighbor[] {
  return [...neighbors].flatMap((task) =>
    task.attachments.flatMap((attachment) =>
      carried.has(attachment.networkId) ? [{ task, attachment }] : [],
    ),
  );
}

function endpointOfNeighbor({ task, attachment }: Neighbor): EndpointModel[] {
  const { endpoint: state, hostname } = task;
  if (state === "none") return [];
  const { mac: _mac, node: _node, ...copy } = attachmentOfNeighbor({ task, attachment });
  return [{ ...copy, state, ...(hostname === undefined ? {} : { hostname }) }];
}

function attachmentOfNeighbor({ task, attachment }: Neighbor): AttachmentModel {
  const { project, environment, stack, service, task: taskId, slot, node } = task;
  return { project, environment, stack, service, taskId, slot, ...attachment, remote: true, node };
}

function nameOf({ task }: Assignment) {
  const { project, environment, stack, service } = task;
  return { project, environment, stack, service };
}

function serviceModel(
  { assignment, attachments }: Present,
  networks: ReadonlyMap<string, Network>,
): ServiceModel {
  const { spec } = assignment;
  return {
    ...nameOf(assignment),
    networks: attachments.map(({ networkId }) => ({
      networkId,
      aliases: aliasesOn(assignment, attachments, networks.get(networkId)),
    })),
    endpointMode: spec.endpointMode,
    ports: servedPorts(spec),
    ...(spec.affinity === undefined ? {} : { affinity: spec.affinity }),
  };
}

/**
 * Aliases stand under the file's name of a network. A network of another stack has a name of its own
 * there, which assignments do not tell: the only name left over is meant.
 */
function aliasesOn(
  { task, spec }: Assignment,
  attachments: readonly Attachment[],
  network: Network | undefined,
): readonly string[] {
  if (network === undefined) return [];
  if (network.stack === task.stack) return spec.networks[network.name]?.aliases ?? [];
  const foreign = Object.entries(spec.networks).filter(([name]) => name !== "default");
  return attachments.length === 1 && foreign.length === 1 ? (foreign[0]?.[1].aliases ?? []) : [];
}

function endpointsOf({ assignment, record, attachments }: Present, input: ModelInput) {
  const state = endpointState(record);
  if (state === undefined || !input.isAlive(record)) return [];
  const { hostname } = assignment.spec.engine;
  return attachments.map(
    ({ networkId, address, address6 }): EndpointModel => ({
      ...nameOf(assignment),
      slot: assignment.task.slot,
      taskId: assignment.task.id,
      networkId,
      address,
      ...(address6 === undefined ? {} : { address6 }),
      state,
      ...(hostname === undefined ? {} : { hostname }),
    }),
  );
}

function endpointState(record: TaskRecord): EndpointModel["state"] | undefined {
  if (record.state === "running" && record.ready) return "ready";
  const isLeaving = ["running", "draining", "stopping"].includes(record.state);
  return isLeaving && record.published ? "draining" : undefined;
}

function attachmentsOf({ assignment }: Present): AttachmentModel[] {
  const { task } = assignment;
  return task.attachments.map(({ networkId, address, address6, mac }) => ({
    ...nameOf(assignment),
    networkId,
    address,
    ...(address6 === undefined ? {} : { address6 }),
    mac,
    taskId: task.id,
    slot: task.slot,
  }));
}

/**
 * Whose routes this node answers: of networks that it is in for them, all that are declared, the same on each such
 * node; of others those of its own copies, unless the server says that other nodes do.
 */
function routedServices(
  input: ModelInput,
  specs: ReadonlyMap<string, Present>,
  carried: ReadonlyMap<string, NetworkModel>,
): RoutedService[] {
  const { overlay, services = [] } = input;
  const answers = new Map<string, boolean | undefined>();
  for (const { networkId, node, ingress } of overlay?.peers ?? []) {
    if (node === overlay?.node) answers.set(networkId, ingress);
  }
  const declared = new Map<string, RoutedService>();
  for (const service of services) {
    const { ingress } = service;
    if (ingress === undefined || !carried.has(ingress.networkId)) continue;
    if (answers.get(ingress.networkId) !== true) continue;
    const users = (secret: string) => input.usersAtDoor?.(service, secret);
    declared.set(serviceKey(service), { ...routedAt(service, ingress), users });
  }
  const own = [...specs].flatMap(([key, task]) => {
    const [routed] = routedOf(task, input);
    if (routed === undefined || answers.get(routed.networkId) === false) return [];
    const told = declared.get(key);
    declared.delete(key);
    return told === undefined ? [routed] : [{ ...told, users: usersOfBoth(routed, told) }];
  });
  return [...own, ...declared.values()];
}

function routedAt(
  { project, environment, stack, service }: DeclaredService,
  { networkId, routes, tcpRoutes, ports }: DeclaredIngress,
): Omit<RoutedService, "users"> {
  const spec = { routes, ports, ...(tcpRoutes === undefined ? {} : { tcpRoutes }) };
  return { name: { project, environment, stack, service }, networkId, spec };
}

/** A node with a copy has its secrets anyway. */
function usersOfBoth(own: RoutedService, told: RoutedService): RoutedService["users"] {
  return (secret) => own.users(secret) ?? told.users(secret);
}

/** As the data plane's routes want it; nothing for a service that is on no network. */
function routedOf({ assignment, attachments }: Present, input: ModelInput): RoutedService[] {
  const networkId = attachments[0]?.networkId;
  if (networkId === undefined) return [];
  const users = (secret: string) => input.usersOf?.(assignment, secret);
  return [{ name: nameOf(assignment), networkId, spec: assignment.spec, users }];
}
