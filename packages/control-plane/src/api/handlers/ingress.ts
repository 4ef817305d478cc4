/** Nodes that answer requests from outside, and the addresses that move between them. */

import {
  type FloatingAddress,
  type FloatingWish,
  type IngressNode,
  type IngressStanding,
  keys,
  type Node,
  ProtocolError,
  VRRP_ROUTERS_MAX,
} from "@berth/protocol";
import { parseAddress, parsePart, subnetsOverlap } from "../../addresses/subnet.ts";
import { takenRanges } from "../../addresses/taken-ranges.ts";
import { floatingAddresses, floatingNodes } from "../../reconcile/floating-addresses.ts";
import { ingressNodes, isLabelled } from "../../reconcile/ingress-nodes.ts";
import { accept, type Decision, refuse, unchangedSince } from "../../release/refusal.ts";
import type { ControlPlaneSettings } from "../../settings.ts";
import type { ClusterView } from "../../state/cluster-tables.ts";
import { encode } from "../../state/decode.ts";
import { commitDecision } from "../commit.ts";
import type { Handler } from "../handler.ts";

export const getIngress: Handler<"getIngress"> = (_request, { state: { view } }) => {
  const names = ingressNodes(view);
  const nodes = view.nodes
    .all()
    .filter(({ value }) => names.has(value.name))
    .map(({ value }) => nodeOf(view, value))
    .sort((a, b) => (a.node < b.node ? -1 : 1));
  const addresses = floatingAddresses(view).map((floating, place) => {
    const host = hostOf(floating.address);
    const holder = view.nodeStatuses.all().find(({ value }) => value.floating?.includes(host));
    return {
      ...floating,
      nodes: floatingNodes(view, place),
      ...(holder === undefined ? {} : { holder: holder.value.name }),
    };
  });
  const routes = ["http-route", "host-port", "tls-name"].map(
    (kind) => view.claims.by("kind", kind).length,
  );
  return {
    nodes,
    addresses,
    routes: routes.reduce((sum, count) => sum + count, 0),
  } satisfies IngressStanding;
};

function nodeOf(view: ClusterView, node: Node): IngressNode {
  const { name, contact, availability } = node;
  const status = view.nodeStatuses.get(keys.nodeStatus(name))?.value;
  const claims = view.claims.by("node", name);
  return {
    ...{ node: name, contact, availability, labelled: isLabelled(node) },
    address: status?.underlay?.address ?? "",
    networks: claims.filter(({ value }) => value.ingress === true && value.freeAt === undefined)
      .length,
    floating: [...(status?.floating ?? [])],
  };
}

export const putFloatingAddress: Handler<"putFloatingAddress"> = (request, context) => {
  const { body } = request;
  const matched = (view: ClusterView) => view.floatingAddresses.get(keyOf(body.address));
  return commitDecision(context, request, { route: "putFloatingAddress", matched }, (view) =>
    withAddress(view, body, { settings: context.settings, now: context.clock.now() }),
  );
};

/** Pure: whether the address can float, and the row of it. */
export function withAddress(
  view: ClusterView,
  wish: FloatingWish,
  { settings, now }: { readonly settings: ControlPlaneSettings; readonly now: number },
): Decision<FloatingAddress> {
  const { address } = wish;
  const host = hostOf(address);
  const prefix = Number(address.split("/")[1]);
  if (parseAddress(host) === undefined || !(prefix >= 1 && prefix <= 32)) {
    const message = `${address} is no IPv4 address with its prefix: expected one like 192.0.2.10/24`;
    return refuse("invalid_request", message, { address });
  }
  const owner = view.nodeStatuses.all().find(({ value }) => value.underlay?.address === host);
  if (owner !== undefined) {
    const message = `${host} is the own address of node ${owner.value.name}: choose one that no host has`;
    return refuse("conflict", message, { address, node: owner.value.name });
  }
  const own = parsePart(`${host}/32`);
  const clash = takenRanges(view, settings).find(
    (range) => !range.isHost && own !== undefined && subnetsOverlap(range, own),
  );
  if (clash !== undefined) {
    const message = `${host} is inside the range of ${clash.who}: choose one on the hosts' own network`;
    return refuse("conflict", message, { address, holder: clash.who });
  }
  const key = keyOf(address);
  const known = view.floatingAddresses.get(key);
  const others = floatingAddresses(view).filter((each) => hostOf(each.address) !== host);
  const router = wish.router ?? known?.value.router ?? freeRouter(others);
  if (router === undefined) {
    const message = `there are ${VRRP_ROUTERS_MAX} floating addresses: VRRP has no more numbers`;
    return refuse("limit_exceeded", message, {
      limit: "floating addresses",
      maximum: VRRP_ROUTERS_MAX,
    });
  }
  const taken = others.find((each) => each.router === router);
  if (taken !== undefined) {
    const message = `the number ${router} is that of ${taken.address}: choose another`;
    return refuse("conflict", message, { router, address: taken.address });
  }
  const value: FloatingAddress = {
    ...{ address, router, createdAt: known?.value.createdAt ?? now },
    ...(wish.interface === undefined ? {} : { interface: wish.interface }),
  };
  const compare = [unchangedSince(key, known?.revision)];
  return accept(value, compare, [{ kind: "put", key, value: encode(value) }]);
}

export const removeFloatingAddress: Handler<"removeFloatingAddress"> = (request, context) => {
  const { address } = request.params;
  const key = keyOf(address);
  const matched = (view: ClusterView) => view.floatingAddresses.get(key);
  return commitDecision(context, request, { route: "removeFloatingAddress", matched }, (view) => {
    const known = matched(view);
    if (known === undefined) {
      throw new ProtocolError("not_found", `there is no floating address ${address}`);
    }
    const compare = [unchangedSince(key, known.revision)];
    return accept(known.value, compare, [{ kind: "delete", key }]);
  });
};

/** One row an address, whatever its prefix. */
function keyOf(address: string): string {
  return keys.floatingAddress(hostOf(address));
}

function hostOf(address: string): string {
  return address.split("/", 1)[0] ?? "";
}

/** Other clusters on the wire begin at the low end as well: a clash is mended by `--router`. */
function freeRouter(others: readonly FloatingAddress[]): number | undefined {
  const taken = new Set(others.map(({ router }) => router));
  for (let router = 51; router <= VRRP_ROUTERS_MAX; router++) if (!taken.has(router)) return router;
  for (let router = 1; router < 51; router++) if (!taken.has(router)) return router;
  return undefined;
}
