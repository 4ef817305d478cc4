/**
 * Networks of a stack, made when the first task needs them: a range carved from the cluster's, claimed in
 * the same transaction as the network.
 *
 * Two ranges of different size that overlap have different claim keys; that they never come to be rests
 * on one leader planning over the newest view and `InFlight`.
 */

import { keys, type Network, type NetworkSpec, stackKey } from "@berth/protocol";
import { gatewayOf6, rangesOfNetwork } from "../addresses/ipv6.ts";
import { serviceRangeText } from "../addresses/service-range.ts";
import {
  carve,
  formatAddress,
  formatSubnet,
  gatewayOf,
  parsePart,
  parseSubnet,
  prefixFor,
  type Subnet,
  sizeOf,
  subnetsOverlap,
} from "../addresses/subnet.ts";
import { type TakenRange, takenRanges } from "../addresses/taken-ranges.ts";
import { encode } from "../state/decode.ts";
import { mtuOfNetworks } from "./overlay-plan.ts";
import { type Obstacle, obstacle, type PlanContext } from "./plan-context.ts";
import type { Unit } from "./unit.ts";

/**
 * Addresses for each copy: the copy, its replacement in a rollout, and as many in quarantine; a subnet
 * cannot be changed later, so it has room to grow by half again.
 */
const ADDRESSES_PER_COPY = 4;
/** No stack's network becomes larger than this on its own: the cluster's range is for all. */
const PREFIX_MIN_CHOSEN = 18;

/** The network of a name in the stack's file, made in `unit` when it does not exist. */
export function ensureNetwork(context: PlanContext, name: string, unit: Unit): Network | Obstacle {
  const { view, release, stack } = context.input;
  const spec = release.networks[name];
  if (spec === undefined) return obstacle("network", `the release has no network ${name}`);
  const owner = spec.external === undefined ? stack.value : { ...stack.value, ...spec.external };
  const key = keys.network(owner, spec.external?.name ?? name);
  if (spec.external !== undefined) {
    // Its owner may be about to go, and its networks with it.
    const other = view.stacks.get(keys.stack(owner));
    unit.expect(keys.stack(owner), other?.revision);
    if (other?.value.deleting !== undefined) {
      return obstacle("network", `stack ${owner.stack} is being removed`);
    }
  }
  const known = view.networks.get(key);
  if (known !== undefined) {
    // It may be removed while nobody uses it.
    unit.expect(key, known.revision);
    if (known.value.removing === true) {
      return obstacle("network", `network ${owner.stack}/${known.value.name} is being removed`);
    }
    return known.value;
  }
  const planned = context.networks.get(key);
  if (planned !== undefined) return planned;
  if (spec.external !== undefined) {
    const what = `network ${spec.external.name} of stack ${spec.external.stack}`;
    return obstacle("network", `${what} does not exist`);
  }
  const subnet = chooseSubnet(context, name, spec);
  return "kind" in subnet ? subnet : makeNetwork(context, name, { spec, subnet }, unit);
}

function makeNetwork(
  context: PlanContext,
  name: string,
  { spec, subnet }: { readonly spec: NetworkSpec; readonly subnet: Subnet },
  unit: Unit,
): Network {
  const { stack, ids, now, settings } = context.input;
  const { project, environment } = stack.value;
  const key = keys.network(stack.value, name);
  const id = ids.networkId();
  const serviceRange = serviceRangeText(settings);
  const sizes = [mtuOfNetworks(context), spec.mtu].filter((size) => size !== undefined);
  const network: Network = {
    ...{ project, environment, stack: stack.value.stack, name, id },
    subnet: formatSubnet(subnet),
    gateway: spec.gateway ?? formatAddress(gatewayOf(subnet)),
    ...(spec.ipRange === undefined ? {} : { ipRange: spec.ipRange }),
    ...(spec.auxAddresses === undefined ? {} : { reserved: Object.values(spec.auxAddresses) }),
    ...(serviceRange === undefined ? {} : { serviceRange }),
    ...(spec.ipv6 === true ? ranges6Of(context, id, spec) : {}),
    internal: spec.internal,
    ...(sizes.length === 0 ? {} : { mtu: Math.min(...sizes) }),
    ...(Object.keys(spec.labels).length === 0 ? {} : { labels: spec.labels }),
    createdAt: now,
  };
  const claim = keys.claim({ kind: "subnet", subnet: network.subnet });
  unit.expect(key, undefined);
  unit.put(key, encode(network));
  unit.expect(claim, undefined);
  unit.put(claim, encode({ stack: stackKey(stack.value) }));
  unit.subnets.push(network.subnet);
  context.networks.set(key, network);
  return network;
}

function ranges6Of(context: PlanContext, id: string, spec: NetworkSpec) {
  const [cluster] = context.input.view.cluster.all();
  const own = rangesOfNetwork(cluster?.value.id ?? "", id);
  const subnet6 = spec.subnet6 ?? own.subnet6;
  return { subnet6, gateway6: gatewayOf6(subnet6), serviceRange6: own.serviceRange6 };
}

function chooseSubnet(context: PlanContext, name: string, spec: NetworkSpec): Subnet | Obstacle {
  const { settings, release } = context.input;
  const taken = takenSubnets(context);
  if (spec.subnet !== undefined) {
    const wish = parseSubnet(spec.subnet);
    const clash = wish && taken.find((other) => subnetsOverlap(other, wish));
    if (wish !== undefined && clash === undefined) return wish;
    const why = clash === undefined ? "it is no range" : `${clash.who} has ${formatSubnet(clash)}`;
    return obstacle("network", `network ${name} cannot have the range ${spec.subnet}: ${why}`);
  }
  const range = parseSubnet(settings.clusterRange);
  if (range === undefined) return obstacle("network", `${settings.clusterRange} is no range`);
  let copies = 0;
  for (const { spec: service } of Object.values(release.services)) {
    if (Object.hasOwn(service.networks, name)) copies += service.copies;
  }
  const wanted = prefixFor(copies * ADDRESSES_PER_COPY, settings.networkPrefix);
  const prefix = Math.max(wanted, PREFIX_MIN_CHOSEN, range.prefix);
  // Ranges go round: one that was just given back is still being taken down on its nodes.
  const free = carve(range, prefix, taken, context.input.ids.subnetEnd());
  if (free !== undefined) {
    context.input.ids.noteSubnetEnd(free.base + sizeOf(free.prefix));
    return free;
  }
  return obstacle("network", fullMessage(context, { name, prefix, range, taken }));
}

/** Why no range is left; what of the hosts lies in the way is named. */
function fullMessage(
  { input }: PlanContext,
  {
    name,
    prefix,
    range,
    taken,
  }: {
    readonly name: string;
    readonly prefix: number;
    readonly range: Subnet;
    readonly taken: readonly TakenRange[];
  },
): string {
  const { settings, view } = input;
  const networks = view.networks.all().length;
  const inTheWay = taken
    .filter((each) => each.isHost && subnetsOverlap(each, range))
    .map((each) => `${each.who} has ${formatSubnet(each)}`);
  const why = inTheWay.length === 0 ? "" : `; ${inTheWay.slice(0, 3).join(", ")}`;
  return `no range of /${prefix} for network ${name}: ${settings.clusterRange} is full (${networks} networks)${why}`;
}

function takenSubnets(context: PlanContext): TakenRange[] {
  const { view, inFlight, settings } = context.input;
  const planned = [
    ...inFlight.subnets(),
    ...[...context.networks.values()].map(({ subnet }) => subnet),
  ];
  return [
    ...takenRanges(view, settings),
    ...planned.flatMap((text) => {
      const range = parsePart(text);
      return range === undefined ? [] : [{ ...range, who: "another network", isHost: false }];
    }),
  ];
}
