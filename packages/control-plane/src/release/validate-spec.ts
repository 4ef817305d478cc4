/**
 * What can be wrong with a stack's spec beyond its schema: contradictions inside it. Each rule is a
 * function of the spec alone and names the place in the file; all problems are listed at once.
 *
 * What depends on the cluster (claims, external networks, policy) stands in `accept-deployment.ts`.
 */

import {
  type NetworkSpec,
  runsOnEveryNode,
  type ServiceSpec,
  type StackSpec,
} from "@berth/protocol";
import { routeProblems, tcpRouteProblems } from "@berth/protocol/route-rules";
import { parseConstraint } from "@berth/scheduler";
import { parseRange6 } from "../addresses/ipv6.ts";
import {
  containsAddress,
  formatSubnet,
  isHostAddress,
  parseAddress,
  parsePart,
  parseSubnet,
  type Subnet,
  subnetsOverlap,
} from "../addresses/subnet.ts";
import {
  type ClaimWish,
  claimsClash,
  claimsOfServices,
  claimText,
  type Problem,
} from "./claims.ts";
import { findCycle } from "./dependency-cycle.ts";
import { type ExclusiveContext, exclusiveReason, exclusiveVolumes } from "./exclusive.ts";

/** What validation needs of a stack: deployments and requests alike have it. */
export type SpecToValidate = Pick<StackSpec, "services" | "networks" | "volumes" | "configs"> & {
  readonly secrets: Readonly<Record<string, unknown>>;
};

/** More problems than this do not help a reader. */
export const PROBLEMS_MAX = 50;

type SpecRule = (spec: SpecToValidate) => Problem[];

const RULES: readonly SpecRule[] = [
  eachService(references),
  cycles,
  eachService(podProblems),
  eachService(exclusiveProblems),
  sharedExclusives,
  doubleClaims,
  eachService(routesProblems),
  eachService(constraintProblems),
  networkRanges,
  eachService(fixedAddresses),
];

/** Everything that is wrong with `spec`; empty when it makes sense. Cost: O(spec + claims²). */
export function validateSpec(spec: SpecToValidate): Problem[] {
  return RULES.flatMap((rule) => rule(spec)).slice(0, PROBLEMS_MAX);
}

function eachService(
  rule: (name: string, service: ServiceSpec, spec: SpecToValidate) => Problem[],
): SpecRule {
  return (spec) =>
    Object.entries(spec.services).flatMap(([name, service]) => rule(name, service, spec));
}

function references(name: string, service: ServiceSpec, spec: SpecToValidate): Problem[] {
  const at = `services.${name}`;
  const missing = (path: string, what: string, known: object, wanted: string): Problem[] =>
    Object.hasOwn(known, wanted) ? [] : [{ path, message: `there is no ${what} ${wanted}` }];
  return [
    ...service.mounts.flatMap((mount, index) =>
      mount.kind === "volume"
        ? missing(`${at}.mounts[${index}]`, "volume", spec.volumes, mount.volume)
        : [],
    ),
    ...service.configs.flatMap((file, index) =>
      missing(`${at}.configs[${index}]`, "config", spec.configs, file.name),
    ),
    ...service.secrets.flatMap((file, index) =>
      missing(`${at}.secrets[${index}]`, "secret", spec.secrets, file.name),
    ),
    ...Object.keys(service.networks).flatMap((network) =>
      missing(`${at}.networks.${network}`, "network", spec.networks, network),
    ),
    ...Object.entries(service.dependsOn).flatMap(([dependency, { required }]) =>
      required
        ? missing(`${at}.depends_on.${dependency}`, "service", spec.services, dependency)
        : [],
    ),
    ...(service.podWith === undefined
      ? []
      : missing(`${at}.podWith`, "service", spec.services, service.podWith)),
  ];
}

function cycles(spec: SpecToValidate): Problem[] {
  const cycle = findCycle(spec.services);
  if (cycle === undefined) return [];
  const message = `services wait for each other: ${cycle.join(" → ")}`;
  return [{ path: `services.${cycle[0]}.depends_on`, message }];
}

function podProblems(name: string, service: ServiceSpec, spec: SpecToValidate): Problem[] {
  const holder = service.podWith === undefined ? undefined : spec.services[service.podWith];
  if (service.podWith === undefined || holder === undefined) return [];
  const path = `services.${name}`;
  const problems: Problem[] = [];
  if (holder.podWith !== undefined) {
    const message = `${service.podWith} shares the pod of ${holder.podWith}: name that service`;
    problems.push({ path: `${path}.podWith`, message });
  }
  if (service.copies !== holder.copies && !runsOnEveryNode(holder)) {
    const message = `has ${service.copies} copies, its pod's ${service.podWith} ${holder.copies}: they must be equal`;
    problems.push({ path: `${path}.deploy.replicas`, message });
  }
  return problems;
}

function exclusiveProblems(name: string, service: ServiceSpec, spec: SpecToValidate): Problem[] {
  const reason = exclusiveReason(contextOf(spec), name);
  if (reason === undefined) return [];
  const problems: Problem[] = [];
  if (service.update.order === "start-first") {
    const path = `services.${name}.deploy.update_config.order`;
    const message = `start-first is not possible: ${reason.text}, so the old copy must end first`;
    problems.push({ path, message });
  }
  if (reason.perCopy) return problems;
  const many = runsOnEveryNode(service) ? "a copy on each node" : `${service.copies} copies`;
  if (runsOnEveryNode(service) || service.copies > 1) {
    const path = `services.${name}.deploy.replicas`;
    problems.push({ path, message: `${many} cannot run: ${reason.text}` });
  }
  return problems;
}

/** Two services that both keep running and write one exclusive volume: the second would wait for ever. */
function sharedExclusives(spec: SpecToValidate): Problem[] {
  const writers = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [name, service] of Object.entries(spec.services)) {
    if (service.mode === "job" || service.restart.policy === "no") continue;
    for (const volume of exclusiveVolumes(service, spec.volumes)) {
      if (spec.volumes[volume]?.perCopy) continue;
      const other = writers.get(volume);
      if (other === undefined) writers.set(volume, name);
      else if (!samePod(spec, name, other)) {
        const message = `${other} and ${name} both write to it; if they coordinate, set x-berth mode: shared, else mount it read-only in one`;
        problems.push({ path: `volumes.${volume}`, message });
      }
    }
  }
  return problems;
}

function samePod(spec: SpecToValidate, a: string, b: string): boolean {
  return (spec.services[a]?.podWith ?? a) === (spec.services[b]?.podWith ?? b);
}

function contextOf(spec: SpecToValidate): ExclusiveContext {
  return { ...spec, services: specServices(spec) };
}

function specServices(spec: SpecToValidate): ExclusiveContext["services"] {
  return Object.fromEntries(
    Object.entries(spec.services).map(([name, service]) => [name, { spec: service }]),
  );
}

function doubleClaims(spec: SpecToValidate): Problem[] {
  const taken: ClaimWish[] = [];
  const problems: Problem[] = [];
  for (const wish of claimsOfServices(specServices(spec))) {
    const other = taken.find(({ claim }) => claimsClash(claim, wish.claim));
    taken.push(wish);
    if (other === undefined) continue;
    const message = `${claimText(wish.claim)} is taken already by ${other.path}`;
    problems.push({ path: wish.path, message });
  }
  return problems;
}

/** Routes that make no sense, or need what the stack does not have. */
function routesProblems(name: string, service: ServiceSpec, spec: SpecToValidate): Problem[] {
  const at = `services.${name}`;
  const tcpRoutes = service.tcpRoutes ?? [];
  const isApart = service.networkMode !== "networks";
  if (isApart && service.routes.length + tcpRoutes.length > 0) {
    const message = `network_mode ${service.networkMode}: a route needs a network of the stack`;
    return [{ path: `${at}.routes[0]`, message }];
  }
  return [
    ...service.routes.flatMap((route, index) => {
      const place = `${at}.routes[${index}]`;
      const { auth, split = {} } = route;
      const own = routeProblems(route).map(({ key, message }) => ({
        path: `${place}.${key}`,
        message,
      }));
      const unknown = Object.keys(split).flatMap((other) => splitProblems(spec, name, other));
      return [
        ...own,
        ...unknown.map((message) => ({ path: `${place}.split`, message })),
        ...(auth === undefined || Object.hasOwn(spec.secrets, auth.secret)
          ? []
          : [{ path: `${place}.auth.secret`, message: `there is no secret ${auth.secret}` }]),
      ];
    }),
    ...tcpRoutes.flatMap((route, index) =>
      tcpRouteProblems(route).map(({ key, message }) => ({
        path: `${at}.tcpRoutes[${index}].${key}`,
        message,
      })),
    ),
  ];
}

function splitProblems(spec: SpecToValidate, name: string, other: string): string[] {
  const service = spec.services[other];
  if (service === undefined || other === name) return [`there is no other service ${other}`];
  const own = Object.keys(spec.services[name]?.networks ?? {});
  const shared = Object.keys(service.networks).some((network) => own.includes(network));
  return shared ? [] : [`${other} shares no network with ${name}`];
}

function constraintProblems(name: string, service: ServiceSpec): Problem[] {
  return service.constraints.flatMap((text, index) => {
    const parsed = parseConstraint(text);
    if (parsed.kind === "constraint") return [];
    const path = `services.${name}.deploy.placement.constraints[${index}]`;
    return [{ path, message: `${parsed.message} (column ${parsed.column})` }];
  });
}

function networkRanges(spec: SpecToValidate): Problem[] {
  const problems: Problem[] = [];
  const known: { readonly name: string; readonly subnet: string }[] = [];
  for (const [name, network] of Object.entries(spec.networks)) {
    problems.push(...rangeProblems6(name, network));
    const { subnet } = network;
    if (subnet === undefined) continue;
    const path = `networks.${name}.subnet`;
    const parsed = parseSubnet(subnet);
    if (parsed === undefined) {
      problems.push({ path, message: `${subnet} is no IPv4 range between /8 and /29` });
      continue;
    }
    const other = known.find((each) => {
      const range = parseSubnet(each.subnet);
      return range !== undefined && subnetsOverlap(range, parsed);
    });
    if (other !== undefined)
      problems.push({ path, message: `overlaps with network ${other.name}` });
    known.push({ name, subnet });
    problems.push(...partProblems(name, network, parsed));
  }
  return problems;
}

/** What a file says about the inside of a range: gateway, the part for copies, addresses for nobody. */
function partProblems(name: string, network: NetworkSpec, subnet: Subnet): Problem[] {
  const problems: Problem[] = [];
  const at = (field: string) => `networks.${name}.${field}`;
  const text = formatSubnet(subnet);
  const isInside = (address: string) => {
    const number = parseAddress(address);
    return number !== undefined && isHostAddress(subnet, number);
  };
  if (network.gateway !== undefined && !isInside(network.gateway)) {
    problems.push({ path: at("gateway"), message: `${network.gateway} is no address of ${text}` });
  }
  const part = network.ipRange === undefined ? subnet : parsePart(network.ipRange);
  if (part === undefined || part.prefix < subnet.prefix || !subnetsOverlap(part, subnet)) {
    problems.push({ path: at("ip_range"), message: `${network.ipRange} is no part of ${text}` });
  }
  for (const [device, address] of Object.entries(network.auxAddresses ?? {})) {
    if (isInside(address)) continue;
    const message = `${address} is no address of ${text}`;
    problems.push({ path: at(`aux_addresses.${device}`), message });
  }
  return problems;
}

function rangeProblems6(name: string, { subnet6 }: NetworkSpec): Problem[] {
  if (subnet6 === undefined || parseRange6(subnet6) !== undefined) return [];
  const message = `${subnet6} is no IPv6 range between /16 and /96`;
  return [{ path: `networks.${name}.subnet6`, message }];
}

function fixedAddresses(name: string, service: ServiceSpec, spec: SpecToValidate): Problem[] {
  return Object.entries(service.networks).flatMap(([network, use]) => {
    const { ipv4Address, addresses } = use;
    const isList = addresses !== undefined;
    const wishes = addresses ?? (ipv4Address === undefined ? [] : [ipv4Address]);
    if (wishes.length === 0 && !isList) return [];
    const at = `services.${name}`;
    const path = isList
      ? `${at}.x-berth.addresses.${network}`
      : `${at}.networks.${network}.ipv4_address`;
    const { external, subnet: text, gateway } = spec.networks[network] ?? {};
    // What another stack's network is, its claims and its owner say.
    if (external !== undefined) return [];
    const subnet = text === undefined ? undefined : parseSubnet(text);
    if (subnet === undefined) {
      return [{ path, message: `network ${network} must state a subnet for a fixed address` }];
    }
    const problems = wishes
      .filter((address) => !containsAddress(subnet, address, gateway))
      .map((address): Problem => ({ path, message: `${address} is no free address of ${text}` }));
    if (isList && runsOnEveryNode(service)) {
      problems.push({
        path,
        message: "a global service cannot have fixed addresses: its copies have no slots",
      });
    } else if (isList && wishes.length < service.copies) {
      const message = `${wishes.length} addresses for ${service.copies} copies`;
      problems.push({ path, message });
    }
    return problems;
  });
}
