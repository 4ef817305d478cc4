/**
 * Networks of a stack, made when the first task needs them: a range carved from the cluster's, claimed in
 * the same transaction as the network.
 *
 * Two ranges of different size that overlap have different claim keys; that they never come to be rests
 * on one leader planning over the newest view and `InFlight`.
 */

import { keys, type Network, type NetworkSpec, stackKey } from "@berth/protocol";
import {
  carve,
  formatAddress,
  formatSubnet,
  gatewayOf,
  parseSubnet,
  prefixFor,
  type Subnet,
  sizeOf,
  subnetsOverlap,
} from "../addresses/subnet.ts";
import { encode } from "../state/decode.ts";
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
  const { stack, ids, now } = context.input;
  const { project, environment } = stack.value;
  const key = keys.network(stack.value, name);
  const network: Network = {
    project,
    environment,
    stack: stack.value.stack,
    name,
    id: ids.networkId(),
    subnet: formatSubnet(subnet),
    gateway: formatAddress(gatewayOf(subnet)),
    internal: spec.internal,
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

function chooseSubnet(context: PlanContext, name: string, spec: NetworkSpec): Subnet | Obstacle {
  const { settings, release } = context.input;
  const taken = takenSubnets(context);
  if (spec.subnet !== undefined) {
    const wish = parseSubnet(spec.subnet);
    const clash = wish && taken.find((other) => subnetsOverlap(other, wish));
    if (wish !== undefined && clash === undefined) return wish;
    const why = clash === undefined ? "it is no range" : `${formatSubnet(clash)} is taken`;
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
  const message = `no range for network ${name}: ${settings.clusterRange} is full (${taken.length} networks)`;
  return obstacle("network", message);
}

function takenSubnets(context: PlanContext): Subnet[] {
  const { view, inFlight } = context.input;
  const texts = [
    ...view.networks.all().map(({ value }) => value.subnet),
    ...inFlight.subnets(),
    ...[...context.networks.values()].map(({ subnet }) => subnet),
  ];
  return texts.flatMap((text) => parseSubnet(text) ?? []);
}
