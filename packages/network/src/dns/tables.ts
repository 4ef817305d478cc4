/**
 * The names that this node answers, prepared for look-up: built once per model, read for each query.
 *
 * A table belongs to a network; who asks sees the tables of the networks that its task is attached to, its
 * own stack's services before those of others on a shared network. Draining endpoints are not here: they
 * leave the names first. Cost: building O(model), a look-up O(networks of the asker).
 *
 * Design page: docs/design/dns.md
 */

import { type Ipv4Range, ipv4InRange, parseIpv4, parseIpv4Range } from "../ipv4.ts";
import {
  type EndpointModel,
  type NetworkModel,
  type NodeNetworkModel,
  type ServiceModel,
  type ServiceName,
  type ServicePortModel,
  serviceKey,
} from "../model.ts";
import { asciiLower } from "./wire.ts";

/** A ready copy, on one network. */
export interface CopyNames {
  readonly slot: number;
  readonly address: number;
  /** `web-1.shop.main.default.berth` */
  readonly fullName: string;
}

/** A service on one network. */
export interface ServiceNames {
  readonly stack: string;
  /** `shop.main.default`: what stands between the service's name and the domain, lower case. */
  readonly suffix: string;
  readonly virtualAddress?: number;
  /** Ready copies, by slot. */
  readonly copies: readonly CopyNames[];
  readonly ports: readonly ServicePortModel[];
}

/** What a name stands for: a service, or (by its host name) one copy of it. */
export interface NameEntry {
  readonly service: ServiceNames;
  readonly copy?: CopyNames;
}

export interface NetworkNames {
  readonly id: string;
  readonly gateway: number;
  readonly range: Ipv4Range;
  /** Stack that declared the network: the view of an asker without an attachment. */
  readonly stack: string;
  /** Service names and aliases, lower case. */
  readonly services: ReadonlyMap<string, readonly NameEntry[]>;
  /** Host names of ready copies, lower case: asked for only where no service has the name. */
  readonly hosts: ReadonlyMap<string, readonly NameEntry[]>;
  /** Full names by address: attachments (also of copies that are not ready) and virtual addresses. */
  readonly reverse: ReadonlyMap<number, string>;
}

/** Who asks: its stack, and the networks whose names it sees, the one that it asked on first. */
export interface Asker {
  readonly stack: string;
  readonly networks: readonly NetworkNames[];
}

export interface DnsTables {
  readonly domain: string;
  readonly networks: ReadonlyMap<string, NetworkNames>;
  /** Ids of all networks of the task that has the address, and its stack. */
  readonly sources: ReadonlyMap<
    number,
    { readonly stack: string; readonly networkIds: readonly string[] }
  >;
}

export function buildTables(model: NodeNetworkModel): DnsTables {
  const domain = asciiLower(model.domain);
  const copies = readyCopies(model, domain);
  const networks = new Map(
    model.networks.map((network) => [network.id, buildNetwork(network, model, copies, domain)]),
  );
  return { domain, networks, sources: buildSources(model) };
}

/** The view of an asker at `address` who asked on `network`; `undefined`: it has no business there. */
export function askerOf(
  tables: DnsTables,
  network: NetworkNames,
  address: number,
): Asker | undefined {
  if (!ipv4InRange(address, network.range)) return undefined;
  const source = tables.sources.get(address);
  if (source === undefined) return { stack: network.stack, networks: [network] };
  const others = source.networkIds.flatMap((id) => {
    const other = tables.networks.get(id);
    return other === undefined || other.id === network.id ? [] : [other];
  });
  return { stack: source.stack, networks: [network, ...others] };
}

export function stackKey(name: Omit<ServiceName, "service">): string {
  return `${name.project}/${name.environment}/${name.stack}`;
}

type CopiesByService = ReadonlyMap<string, readonly (CopyNames & { readonly hostname?: string })[]>;

function copiesKey(service: ServiceName, networkId: string): string {
  return `${serviceKey(service)}@${networkId}`;
}

function readyCopies(model: NodeNetworkModel, domain: string): CopiesByService {
  const copies = new Map<string, (CopyNames & { hostname?: string })[]>();
  for (const endpoint of model.endpoints) {
    if (endpoint.state !== "ready") continue;
    const key = copiesKey(endpoint, endpoint.networkId);
    const list = copies.get(key) ?? [];
    copies.set(key, list);
    list.push(copyNames(endpoint, domain));
  }
  for (const list of copies.values()) list.sort((a, b) => a.slot - b.slot || a.address - b.address);
  return copies;
}

function copyNames(endpoint: EndpointModel, domain: string): CopyNames & { hostname?: string } {
  return {
    slot: endpoint.slot,
    address: parseIpv4(endpoint.address) ?? 0,
    fullName: fullCopyName(endpoint, endpoint.slot, domain),
    ...(endpoint.hostname === undefined ? {} : { hostname: asciiLower(endpoint.hostname) }),
  };
}

function suffixOf(name: ServiceName): string {
  return `${name.stack}.${name.environment}.${name.project}`;
}

function fullCopyName(name: ServiceName, slot: number, domain: string): string {
  return asciiLower(`${name.service}-${slot}.${suffixOf(name)}.${domain}`);
}

function buildNetwork(
  network: NetworkModel,
  model: NodeNetworkModel,
  copiesByService: CopiesByService,
  domain: string,
): NetworkNames {
  const services = new Map<string, NameEntry[]>();
  const hosts = new Map<string, NameEntry[]>();
  const reverse = new Map<number, string>();
  for (const service of model.services) {
    const membership = service.networks.find((entry) => entry.networkId === network.id);
    if (membership === undefined) continue;
    const copies = copiesByService.get(copiesKey(service, network.id)) ?? [];
    const virtual = service.endpointMode === "vip" ? membership.virtualAddress : undefined;
    const entry = { service: serviceNames(service, copies, virtual) };
    for (const label of new Set([service.service, ...membership.aliases].map(asciiLower))) {
      append(services, label, entry);
    }
    for (const copy of copies) {
      if (copy.hostname !== undefined) append(hosts, copy.hostname, { ...entry, copy });
    }
    if (virtual !== undefined) {
      const fullName = asciiLower(`${service.service}.${suffixOf(service)}.${domain}`);
      reverse.set(parseIpv4(virtual) ?? 0, fullName);
    }
  }
  for (const item of model.attachments) {
    if (item.networkId !== network.id) continue;
    reverse.set(parseIpv4(item.address) ?? 0, fullCopyName(item, item.slot, domain));
  }
  return {
    id: network.id,
    gateway: parseIpv4(network.gateway) ?? 0,
    range: parseIpv4Range(network.subnet) ?? { base: 0, bits: 32 },
    stack: stackKey(network),
    services,
    hosts,
    reverse,
  };
}

function serviceNames(
  service: ServiceModel,
  copies: readonly CopyNames[],
  virtualAddress: string | undefined,
): ServiceNames {
  return {
    stack: stackKey(service),
    suffix: asciiLower(suffixOf(service)),
    copies,
    ports: service.ports,
    ...(virtualAddress === undefined ? {} : { virtualAddress: parseIpv4(virtualAddress) ?? 0 }),
  };
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function buildSources(model: NodeNetworkModel): DnsTables["sources"] {
  const networksOfTask = new Map<string, string[]>();
  for (const item of model.attachments) append(networksOfTask, item.taskId, item.networkId);
  return new Map(
    model.attachments.map((item) => [
      parseIpv4(item.address) ?? 0,
      { stack: stackKey(item), networkIds: networksOfTask.get(item.taskId) ?? [] },
    ]),
  );
}
