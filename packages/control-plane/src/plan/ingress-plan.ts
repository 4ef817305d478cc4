/**
 * What nodes need to answer the routes of a stack: their part in each network into which a route leads, and the word
 * on every node of it whether it answers. Claimed after the tasks themselves, by every look at the stack, so that it
 * follows labels and nodes as well as releases.
 *
 * While all that concerns a network is one node, nothing is claimed. Each claim is a unit of its own: any number
 * of nodes fits. Cost: O(addresses of the networks with routes).
 * Design page: docs/design/ingress.md.
 */

import type { Network } from "@berth/protocol";
import { overlayClaimOf } from "../addresses/overlay-ids.ts";
import { attachedNodes } from "../reconcile/attached-nodes.ts";
import { ingressNetwork, ingressNodes, isRouted } from "../reconcile/ingress-nodes.ts";
import { nodeAddressTerm } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import { takeNodeAddress, takeOverlayId } from "./overlay-plan.ts";
import type { PlanContext } from "./plan-context.ts";
import { Unit } from "./unit.ts";

/** Claims for the routes of the stack's release; none once everything is as it should be. */
export function planIngress(context: PlanContext): Unit[] {
  const { view, stack } = context.input;
  if (view.nodes.size <= 1 || stack.value.deleting !== undefined) return [];
  const networks = routedByStack(context);
  if (networks.length === 0) return [];
  const answering = ingressNodes(view);
  return networks.flatMap((network) => unitsOf(context, network, answering));
}

function routedByStack({ input: { view, release } }: PlanContext): Network[] {
  const ids = new Set(
    Object.entries(release.services).flatMap(([service, { spec }]) =>
      isRouted(spec) ? (ingressNetwork(view, release, service) ?? []) : [],
    ),
  );
  return [...ids].flatMap((id) => view.networks.by("id", id).map(({ value }) => value));
}

function unitsOf(context: PlanContext, network: Network, answering: ReadonlySet<string>): Unit[] {
  const { view } = context.input;
  const attached = attachedNodes(view, network.id);
  const nodes = [...attached.union(answering)].sort();
  const spans = overlayClaimOf(view, network.id) !== undefined;
  // Its first task comes with the network; without any there is nothing to lead to yet.
  if (!spans && (nodes.length <= 1 || attached.size === 0)) return [];
  if (!spans && context.overlays.has(network.id)) return [];
  const units: Unit[] = [];
  if (!spans) {
    const unit = new Unit();
    if (takeOverlayId(context, network, unit) !== undefined) return [];
    units.push(unit);
  }
  for (const node of nodes) {
    const unit = new Unit();
    claimFor(context, network, { node, ingress: answering.has(node) }, unit);
    units.push(unit);
  }
  return units;
}

/** A full network leaves the node out: its copies need the addresses more than the routes do. */
function claimFor(
  context: PlanContext,
  network: Network,
  { node, ingress }: { readonly node: string; readonly ingress: boolean },
  unit: Unit,
): void {
  const { view } = context.input;
  const term = nodeAddressTerm(network.id, node);
  // This very plan takes it for a task: the next look says the rest.
  if (context.nodeAddresses.has(term)) return;
  const [known] = view.claims.by("node-address", term);
  if (known === undefined) {
    takeNodeAddress(context, network, node, unit, { ingress });
    return;
  }
  const { freeAt, ...holder } = known.value;
  if (freeAt === undefined && holder.ingress === ingress) return;
  unit.expect(known.key, known.revision);
  unit.put(known.key, encode({ ...holder, ingress }));
}
