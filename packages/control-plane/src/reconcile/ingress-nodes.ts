/**
 * Which nodes answer requests from outside, and into which networks routes lead. Pure.
 *
 * A node that answers takes part in each such network, with or without a copy. Where no node is labelled, those
 * that joined first do: every node of a small cluster, and a bounded number of a large one, in which each would
 * cost every routed network an address. That number never takes a node away that answered before.
 *
 * Cost: O(nodes); O(services of the stack, and of stacks of the environment that share networks).
 * Design page: docs/design/ingress.md.
 */

import {
  INGRESS_LABEL,
  keys,
  type Node,
  type Release,
  type ServiceSpec,
  type StackScope,
} from "@berth/protocol";
import { networkRoot } from "../release/network-root.ts";
import { type ClusterView, environmentOf, nodeAddressTerm } from "../state/cluster-tables.ts";

/** Nodes that answer where none is labelled: enough for any load here, and few beside a network's addresses. */
export const UNLABELLED_MAX = 16;

/** Names of the nodes that answer routes. One that tells no address for others cannot. */
export function ingressNodes(view: ClusterView): ReadonlySet<string> {
  const able = view.nodes
    .all()
    .filter(({ value }) => view.nodeStatuses.get(keys.nodeStatus(value.name))?.value.underlay);
  const labelled = able.filter(({ value }) => isLabelled(value));
  if (labelled.length > 0) return new Set(labelled.map(({ value }) => value.name));
  const byAge = able.map(({ value }) => value).sort(byJoining);
  return new Set(byAge.slice(0, UNLABELLED_MAX).map(({ name }) => name));
}

/** Whether a person chose the node for requests from outside. */
export function isLabelled({ labels }: Pick<Node, "labels">): boolean {
  return labels[INGRESS_LABEL] === "true";
}

/** Identifiers of the networks into which routes and published ports lead, of `stack` and of who shares its networks. */
export function routedNetworks(view: ClusterView, stack: StackScope): ReadonlySet<string> {
  const networks = new Set<string>();
  for (const release of releasesOn(view, stack)) {
    for (const [service, { spec }] of Object.entries(release.services)) {
      if (!isRouted(spec)) continue;
      const network = ingressNetwork(view, release, service);
      if (network !== undefined) networks.add(network);
    }
  }
  return networks;
}

/** Whether requests from outside lead to the service. */
export function isRouted({ routes, tcpRoutes = [], ports }: ServiceSpec): boolean {
  return routes.length + tcpRoutes.length + ports.length > 0;
}

/** The network by which requests from outside reach a service: its first, or its pod's. */
export function ingressNetwork(
  view: ClusterView,
  release: Release,
  service: string,
): string | undefined {
  const spec = release.services[service]?.spec;
  const root = spec && networkRoot(release, spec);
  if (root?.networkMode !== "networks") return undefined;
  const [name] = Object.keys(root.networks);
  if (name === undefined) return undefined;
  const { external } = release.networks[name] ?? {};
  const owner = external === undefined ? release : { ...release, ...external };
  return view.networks.get(keys.network(owner, external?.name ?? name))?.value.id;
}

/** Current releases of the stack and of those of its environment that use networks of others. */
function* releasesOn(view: ClusterView, scope: StackScope): Iterable<Release> {
  for (const { value: stack } of view.stacks.by("environment", environmentOf(scope))) {
    if (stack.deleting !== undefined) continue;
    const release = view.releases.get(keys.release(stack, stack.release))?.value;
    if (release === undefined) continue;
    const isShared = Object.values(release.networks).some(({ external }) => external !== undefined);
    if (stack.stack === scope.stack || isShared) yield release;
  }
}

function byJoining(a: Node, b: Node): number {
  return a.joinedAt - b.joinedAt || (a.name < b.name ? -1 : 1);
}

/** Nodes that serve `network` by its claims; `undefined` while nobody has decided. */
export function servesRoutes(
  view: ClusterView,
  network: string,
  node: string,
): boolean | undefined {
  const claims = view.claims.by("node-address", nodeAddressTerm(network, node));
  return claims.find(({ value }) => value.freeAt === undefined)?.value.ingress;
}
