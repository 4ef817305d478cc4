/**
 * What a network needs to reach over hosts, claimed in the transaction of the task by which a second node takes
 * part: its identifier, and an address in it for each of its nodes. Before that, and in a cluster of one node,
 * nothing is claimed.
 *
 * That a network with tasks on two nodes always has both rests on one leader planning over the newest view and
 * `InFlight`; two plans that claim for one network at once overtake one another.
 *
 * Cost: O(tasks of the node) a start; O(addresses of the network) once a plan while one node has it.
 * Design page: docs/design/network-hosts.md.
 */

import { isFinal, type Network, overlayMtu, type Release, stackKey } from "@berth/protocol";
import { fixedAddress } from "../addresses/fixed-address.ts";
import { chooseOverlayId, OVERLAY_ID_MAX, overlayClaimOf } from "../addresses/overlay-ids.ts";
import type { ClaimHolder } from "../state/claim-holder.ts";
import { nodeAddressTerm } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import { statusOf } from "../state/status-of.ts";
import { type Obstacle, obstacle, type PlanContext } from "./plan-context.ts";
import type { Unit } from "./unit.ts";

/** `node` takes part in the network from this unit on. */
export function ensureOverlay(
  context: PlanContext,
  { network, node }: { readonly network: Network; readonly node: string },
  unit: Unit,
): Obstacle | undefined {
  const { view } = context.input;
  const isKnown = overlayClaimOf(view, network.id) ?? context.overlays.get(network.id);
  if (isKnown !== undefined) return ensureNodeAddress(context, network, node, unit);
  if (view.nodes.size <= 1) return undefined;
  const nodes = nodesOf(context, network).add(node);
  if (nodes.size === 1) return undefined;
  const full = takeOverlayId(context, network, unit);
  if (full !== undefined) return full;
  for (const each of nodes) {
    const found = ensureNodeAddress(context, network, each, unit);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** An identifier for a network that has none. */
export function takeOverlayId(
  context: PlanContext,
  network: Network,
  unit: Unit,
): Obstacle | undefined {
  const { view } = context.input;
  const key = chooseOverlayId(view, network.id, new Set(context.overlays.values()));
  if (key === undefined) {
    const message = `no identifier for network ${network.name}: all ${OVERLAY_ID_MAX} are taken`;
    return obstacle("network", message);
  }
  unit.expect(key, undefined);
  unit.put(key, encode({ stack: stackKey(network), network: network.id }));
  context.overlays.set(network.id, key);
  return undefined;
}

/** A start is given an address that a node has: the file names it, and the node can have any other. */
export function moveNodeAddress(
  context: PlanContext,
  { network, claimKey }: { readonly network: Network; readonly claimKey: string },
  unit: Unit,
): Obstacle | undefined {
  const holder = context.input.view.claims.get(claimKey)?.value;
  const { node, freeAt } = holder ?? {};
  if (node === undefined || freeAt !== undefined) return undefined;
  return takeNodeAddress(context, network, node, unit);
}

/** Largest packet of a network that may come to span hosts; nothing while there is one node. */
export function mtuOfNetworks({ input }: PlanContext): number | undefined {
  const { nodes, nodeStatuses } = input.view;
  if (nodes.size <= 1) return undefined;
  const sizes = nodeStatuses.all().flatMap(({ value }) => value.underlay?.mtu ?? []);
  return sizes.length === 0 ? undefined : overlayMtu(sizes);
}

function ensureNodeAddress(
  context: PlanContext,
  network: Network,
  node: string,
  unit: Unit,
): Obstacle | undefined {
  const term = nodeAddressTerm(network.id, node);
  if (context.nodeAddresses.has(term)) return undefined;
  const [known] = context.input.view.claims.by("node-address", term);
  if (known === undefined) return takeNodeAddress(context, network, node, unit);
  unit.expect(known.key, known.revision);
  const { freeAt, ...holder } = known.value;
  if (freeAt === undefined && hasTaskOn(context, network, node)) return undefined;
  // It is in quarantine, or about to be: written anew, whoever gives it back meanwhile is overtaken.
  unit.put(known.key, encode(holder));
  context.nodeAddresses.set(term, known.key);
  return undefined;
}

/** A new address of a node in the network; `more` says what else its claim says. */
export function takeNodeAddress(
  context: PlanContext,
  network: Network,
  node: string,
  unit: Unit,
  more: Pick<ClaimHolder, "ingress"> = {},
): Obstacle | undefined {
  const found = context.addresses.takeLast(network, addressesNamed(context.input.release));
  if (found === undefined) {
    const range = network.ipRange ?? network.subnet;
    const message = `network ${network.name} has no address left for node ${node} in ${range}`;
    return obstacle("address", message);
  }
  unit.expect(found.claimKey, found.claimRevision);
  unit.put(found.claimKey, encode({ stack: stackKey(network), node, ...more }));
  context.nodeAddresses.set(nodeAddressTerm(network.id, node), found.claimKey);
  return undefined;
}

/** By what tidying goes as well: a task whose end is not confirmed. */
function hasTaskOn({ input: { view } }: PlanContext, network: Network, node: string): boolean {
  return view.tasks.by("node", node).some(({ value: task }) => {
    if (!task.attachments.some(({ networkId }) => networkId === network.id)) return false;
    const status = statusOf(view, task.id);
    return status === undefined || !isFinal(status.state);
  });
}

/** Nodes with a task on the network, as far as is known or under way. The caller may add to it. */
function nodesOf(context: PlanContext, { id }: Network): Set<string> {
  const known = context.carriers.get(id);
  if (known !== undefined) return known;
  const { view, inFlight } = context.input;
  const nodes = new Set<string>();
  for (const { value } of view.claims.by("network", id)) {
    for (const task of value.tasks ?? []) {
      for (const { value: holder } of view.tasks.by("id", task)) nodes.add(holder.node);
    }
  }
  for (const { node, attachments } of inFlight.tasks()) {
    if (attachments.some(({ networkId }) => networkId === id)) nodes.add(node);
  }
  context.carriers.set(id, nodes);
  return nodes;
}

/** All addresses that the file gives to copies, of whatever network. */
function addressesNamed({ services }: Release): ReadonlySet<string> {
  const uses = Object.values(services).flatMap(({ spec }) => Object.values(spec.networks));
  return new Set(
    uses.flatMap((use) => [...(use.addresses ?? []), fixedAddress(use, 1)]).filter(isText),
  );
}

function isText(value: string | undefined): value is string {
  return value !== undefined;
}
