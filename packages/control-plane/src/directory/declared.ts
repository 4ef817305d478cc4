/**
 * What a node is told about others: the services that stacks declare, on the networks that exist, and the
 * tasks of other nodes with their addresses. Pure functions of the view.
 */

import {
  type Attachment,
  type DeclaredIngress,
  type DeclaredService,
  isFinal,
  keys,
  type Network,
  type NetworkNeighbor,
  type NetworkPeer,
  type Release,
  type ReleaseService,
  type ServiceSpec,
  type StackScope,
  secretsOfRoutes,
  servedPorts,
  stackKey,
  type Task,
  type TaskStatus,
} from "@berth/protocol";
import { embedAddress } from "../addresses/ipv6.ts";
import { macOfAddress } from "../addresses/mac.ts";
import { overlayIdOf } from "../addresses/overlay-ids.ts";
import { addressOfClaim, serviceAddressOf } from "../addresses/service-addresses.ts";
import { ingressNetwork, isRouted } from "../reconcile/ingress-nodes.ts";
import { networkRoot } from "../release/network-root.ts";
import { specOfTask } from "../release/spec-of-task.ts";
import { type ClusterView, nodeAddressTerm } from "../state/cluster-tables.ts";

/** Services of a stack's current release that are on a network; none while the stack is not there. */
export function declaredServices(view: ClusterView, scope: StackScope): DeclaredService[] {
  const stack = view.stacks.get(keys.stack(scope))?.value;
  if (stack?.release === undefined || stack.deleting !== undefined) return [];
  const release = view.releases.get(keys.release(stack, stack.release))?.value;
  if (release === undefined) return [];
  return Object.entries(release.services).flatMap(([name, service]) => {
    const networks = networksOf(view, release, service, name);
    return networks.length === 0 ? [] : [declared(view, release, name, service, networks)];
  });
}

/** Whether the stack's current release is on networks of other stacks. */
export function sharesNetworks(view: ClusterView, scope: StackScope): boolean {
  const stack = view.stacks.get(keys.stack(scope))?.value;
  if (stack?.release === undefined) return false;
  const release = view.releases.get(keys.release(stack, stack.release))?.value;
  return Object.values(release?.networks ?? {}).some(({ external }) => external !== undefined);
}

function declared(
  view: ClusterView,
  release: Release,
  service: string,
  { spec }: ReleaseService,
  networks: DeclaredService["networks"],
): DeclaredService {
  const { project, environment, stack, number } = release;
  const ingress = declaredIngress(view, release, service, spec);
  return {
    project,
    environment,
    stack,
    service,
    release: number,
    endpointMode: spec.endpointMode,
    ports: servedPorts(spec),
    ...(spec.affinity === undefined ? {} : { affinity: spec.affinity }),
    networks,
    ...(ingress === undefined ? {} : { ingress }),
  };
}

/** Addresses that every host has, as files name them. */
const EVERYWHERE = new Set(["", "0.0.0.0", "::", "127.0.0.1", "::1"]);

/** What a node without a copy needs to answer the service's routes. */
function declaredIngress(
  view: ClusterView,
  release: Release,
  service: string,
  spec: ServiceSpec,
): DeclaredIngress | undefined {
  const networkId = isRouted(spec) ? ingressNetwork(view, release, service) : undefined;
  if (networkId === undefined) return undefined;
  const { routes, tcpRoutes } = spec;
  // A port on one address of a host is for the nodes that have it: where its copies are.
  const ports = spec.ports.filter(({ hostAddress = "" }) => EVERYWHERE.has(hostAddress));
  const secrets: Record<string, { readonly version: string }> = {};
  for (const name of secretsOfRoutes(routes)) {
    const version = release.secrets[name]?.version;
    if (version !== undefined) secrets[name] = { version };
  }
  return {
    ...{ networkId, routes, ports },
    ...(tcpRoutes === undefined ? {} : { tcpRoutes }),
    ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
  };
}

/** The networks of its pod's first service, where it shares them: it answers at that one's address. */
function networksOf(
  view: ClusterView,
  release: Release,
  { spec }: ReleaseService,
  service: string,
): DeclaredService["networks"] {
  const of = { stack: stackKey(release), service };
  const root = networkRoot(release, spec);
  if (root?.networkMode !== "networks") return [];
  const networks: DeclaredService["networks"][number][] = [];
  for (const name of Object.keys(root.networks).sort()) {
    const { external } = release.networks[name] ?? {};
    const owner = external === undefined ? release : { ...release, ...external };
    const network = view.networks.get(keys.network(owner, external?.name ?? name))?.value;
    if (network === undefined) continue;
    const aliases = spec.networks[name]?.aliases ?? [];
    networks.push({ networkId: network.id, aliases, ...addressesOn(view, network, of) });
  }
  return networks;
}

function addressesOn(
  view: ClusterView,
  network: Network,
  of: { readonly stack: string; readonly service: string },
): Pick<DeclaredService["networks"][number], "virtualAddress" | "virtualAddress6"> {
  const virtualAddress = serviceAddressOf(view, { ...of, network: network.id });
  if (virtualAddress === undefined) return {};
  const { serviceRange6 } = network;
  if (serviceRange6 === undefined) return { virtualAddress };
  return { virtualAddress, virtualAddress6: embedAddress(serviceRange6, virtualAddress) };
}

/** The task as other nodes see it; `undefined` when it has no address, or none any more. */
export function neighborOf(view: ClusterView, task: Task): NetworkNeighbor | undefined {
  const status = view.statuses.by("task", task.id)[0]?.value;
  if (status !== undefined && isFinal(status.state)) return undefined;
  const attachments = task.attachments.filter((each) => isHolder(view, task, each));
  if (attachments.length === 0) return undefined;
  const { project, environment, stack, service, slot, node } = task;
  const hostname = specOfTask(view, task)?.service.spec.engine.hostname;
  return {
    project,
    environment,
    stack,
    service,
    task: task.id,
    slot,
    node,
    attachments,
    endpoint: endpointOf(task, status),
    ...(hostname === undefined ? {} : { hostname }),
  };
}

/** A task that was given up keeps its address until its end is known, unless its successor got it. */
function isHolder(view: ClusterView, { id }: Task, { networkId, address }: Attachment): boolean {
  const claim = view.claims.get(keys.claim({ kind: "address", networkId, address }));
  return claim?.value.tasks?.includes(id) ?? true;
}

/** A node as it takes part in a network; `undefined` while it has no address there, or tells none of its own. */
export function peerOf(view: ClusterView, network: string, node: string): NetworkPeer | undefined {
  const claims = view.claims.by("node-address", nodeAddressTerm(network, node));
  const claim = claims.find(({ value }) => value.freeAt === undefined);
  const overlayId = overlayIdOf(view, network);
  const underlay = view.nodeStatuses.get(keys.nodeStatus(node))?.value.underlay;
  if (claim === undefined || overlayId === undefined || underlay === undefined) return undefined;
  const nodeAddress = addressOfClaim(claim.key);
  const mac = macOfAddress(nodeAddress);
  const { ingress } = claim.value;
  const peer = { networkId: network, node, overlayId, nodeAddress, mac, underlay };
  return ingress === undefined ? peer : { ...peer, ingress };
}

/** A task that was given up is silent or leaving: nothing new goes to it. */
function endpointOf(task: Task, status: TaskStatus | undefined): NetworkNeighbor["endpoint"] {
  if (status === undefined) return "none";
  const { state, ready, readyAt } = status;
  if (state === "running" && ready) return task.verdict === undefined ? "ready" : "draining";
  if (state === "draining" || state === "stopping") return "draining";
  return state === "running" && readyAt !== undefined ? "draining" : "none";
}
