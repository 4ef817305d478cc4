/** Networks of an environment: their ranges, how full they are, and who is on them. */

import { keys, type Network, ProtocolError, taskName } from "@berth/protocol";
import { addressesOf } from "../../addresses/address-pool.ts";
import { overlayIdOf } from "../../addresses/overlay-ids.ts";
import { addressOfClaim } from "../../addresses/service-addresses.ts";
import { beginNetworkRemoval, endNetworkRemoval } from "../../release/network-removal.ts";
import { type ClusterView, environmentOf } from "../../state/cluster-tables.ts";
import { commitDecision } from "../commit.ts";
import type { Handler } from "../handler.ts";
import { pageOf } from "../paging.ts";

export const listNetworks: Handler<"listNetworks"> = ({ params, query }, { state: { view } }) => {
  const networks = view.networks
    .by("environment", environmentOf(params))
    .filter(({ value }) => query.stack === undefined || value.stack === query.stack);
  return pageOf(networks, query, ({ value }) => viewOf(view, value));
};

export const removeNetwork: Handler<"removeNetwork"> = async (request, context) => {
  const { params } = request;
  const removal = { scope: params, name: params.network };
  const route = "removeNetwork";
  // The answer's record belongs to the last step: only then is the removal done.
  const first = { ...request, idempotency: undefined };
  const matched = (view: ClusterView) => view.networks.get(keys.network(params, params.network));
  const network = await commitDecision(context, first, { route, matched }, (view) =>
    beginNetworkRemoval(view, removal),
  );
  const last = { ...first, ifMatch: undefined };
  const outcome = await commitDecision(context, last, { route }, (view) =>
    endNetworkRemoval(view, network),
  );
  if (outcome === "gone") return network;
  const message = `a copy came onto network ${params.stack}/${params.network} in this moment`;
  throw new ProtocolError("still_in_use", message, { network: params.network });
};

function viewOf(view: ClusterView, network: Network) {
  const { next, end, reserved } = addressesOf(network);
  const overlayId = overlayIdOf(view, network.id);
  const inside = [...reserved].filter((address) => address >= next && address < end).length;
  return {
    network,
    addressesUsed: view.claims.by("network", network.id).length,
    addressesTotal: end - next - inside,
    serviceAddresses: serviceAddresses(view, network),
    attached: attached(view, network),
    ...(overlayId === undefined ? {} : { overlayId }),
    nodes: nodesIn(view, network),
  };
}

function nodesIn(view: ClusterView, { id }: Network): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { key, value } of view.claims.by("network", id)) {
    if (value.node !== undefined && value.freeAt === undefined) {
      found[value.node] = addressOfClaim(key);
    }
  }
  return found;
}

function serviceAddresses(view: ClusterView, { id }: Network): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { key, value } of view.claims.by("kind", "service-address")) {
    if (value.network !== id) continue;
    found[`${nameOf(value.stack)}/${value.service}`] = addressOfClaim(key);
  }
  return found;
}

/** Tasks of the network's environment: others cannot be on it. */
function attached(view: ClusterView, network: Network): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { value: task } of view.tasks.by("environment", environmentOf(network))) {
    const [status] = view.statuses.by("task", task.id);
    if (status?.value.state === "ended" || status?.value.state === "removed") continue;
    const own = task.attachments.find(({ networkId }) => networkId === network.id);
    if (own !== undefined) found[`${task.stack}/${taskName(task)}`] = own.address;
  }
  return found;
}

/** `default/main/shop` → `shop` */
function nameOf(stack: string): string {
  return stack.slice(stack.lastIndexOf("/") + 1);
}
