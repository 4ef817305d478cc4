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
  type AttachmentModel,
  type EndpointModel,
  type NetworkModel,
  type NodeNetworkModel,
  type ServiceModel,
  type ServicePortModel,
  serviceKey,
} from "../model.ts";
import type { ServiceName } from "../service-name.ts";
import { type Ipv6Range, ipv6InRange, parseIpv6, parseIpv6Range } from "./address6.ts";
import type { PreparedRecords } from "./encode.ts";
import { asciiLower, isWireName } from "./wire.ts";

/** How a name came to its meaning; the first that holds decides. */
export type Rule = "service" | "hostname" | "tasks" | "copy";

/** What a name was found to mean; `all`: every copy's address even where the service has one of its own. */
export interface Hit {
  readonly entries: readonly NameEntry[];
  readonly all: boolean;
  readonly rule: Rule;
  /** The network on which it was found. */
  readonly network: NetworkNames;
  /** Answers as they go on the wire, made when first asked for: see answer.ts. */
  readonly prepared: Map<number, PreparedRecords>;
}

/** A ready copy, on one network. */
export interface CopyNames {
  readonly slot: number;
  readonly address: number;
  /** As 32 hexadecimal digits (address6.ts). */
  readonly address6?: string;
  /** `web-1.shop.main.default.berth`; absent where that is too long for a name. */
  readonly fullName?: string;
}

/** A service on one network. */
export interface ServiceNames {
  readonly stack: string;
  /** `shop.main.default`: what stands between the service's name and the domain, lower case. */
  readonly suffix: string;
  /** `web.shop.main.default.berth`; absent where that is too long for a name. */
  readonly fullName?: string;
  readonly virtualAddress?: number;
  readonly virtualAddress6?: string;
  /** Ready copies, by slot. */
  readonly copies: readonly CopyNames[];
  /** Slots of all copies that are attached: their names exist before and after they are ready. */
  readonly slots: ReadonlySet<number>;
  readonly ports: readonly ServicePortModel[];
}

/** What a name stands for: a service, or (by its host name) one copy of it. */
export interface NameEntry {
  readonly service: ServiceNames;
  readonly copy?: CopyNames;
}

export interface NetworkNames {
  readonly id: string;
  readonly range: Ipv4Range;
  readonly range6?: Ipv6Range;
  /** Where its services' own addresses are from: one that no service has is ours all the same. */
  readonly serviceRange?: Ipv4Range;
  readonly serviceRange6?: Ipv6Range;
  /** Stack that declared the network: the view of an asker without an attachment. */
  readonly stack: string;
  /** Service names and aliases, lower case. */
  readonly services: ReadonlyMap<string, readonly NameEntry[]>;
  /** Host names of ready copies, lower case: asked for only where no service has the name. */
  readonly hosts: ReadonlyMap<string, readonly NameEntry[]>;
  /** Parents of full names, without the domain: `shop.main.default`, `main.default`, `default`. */
  readonly parents: ReadonlySet<string>;
  /** Full names by address: attachments (also of copies that are not ready) and virtual addresses. */
  readonly reverse: ReadonlyMap<number, string>;
  readonly reverse6: ReadonlyMap<string, string>;
  /** Who asks on it, by address: found once for each model. Bounded by ASKERS_MAX. */
  readonly askers: Map<string, Asker | undefined>;
}

/** Who asks: its stack, and the networks whose names it sees, the one that it asked on first. */
export interface Asker {
  readonly stack: string;
  readonly networks: readonly NetworkNames[];
  /** The host itself, which is of no stack: it has full names only, and short ones are not ours. */
  readonly isHost?: true;
  /** What names mean to it, as far as they were asked: see look-up.ts. */
  readonly hits: Map<string, Hit>;
}

/** Addresses that ask on a network, with those that only claim to: more are looked up each time. */
const ASKERS_MAX = 4_096;

export interface DnsTables {
  readonly domain: string;
  readonly networks: ReadonlyMap<string, NetworkNames>;
  /** The host's own view: all networks of the node. */
  readonly host: Asker;
  /** Tasks by address as it is written in packets: IPv4 dotted, IPv6 as digits. */
  readonly sources: ReadonlyMap<string, Source>;
}

/** Networks of a task, and its stack. */
interface Source {
  readonly stack: string;
  readonly networkIds: readonly string[];
}

export function buildTables(model: NodeNetworkModel): DnsTables {
  const domain = asciiLower(model.domain);
  const copies = { ready: readyCopies(model, domain), slots: attachedSlots(model) };
  const members = servicesByNetwork(model);
  const attached = attachmentsByNetwork(model);
  const networks = new Map(
    model.networks.map((network) => {
      const on = { services: members.get(network.id), attachments: attached.get(network.id) };
      return [network.id, buildNetwork(network, on, copies, domain)];
    }),
  );
  const host: Asker = {
    stack: "",
    networks: [...networks.values()],
    isHost: true,
    hits: new Map(),
  };
  return { domain, networks, host, sources: buildSources(model) };
}

/** The view of an asker at `address` who asked on `network`; `undefined`: it has no business there. */
export function askerOf(
  tables: DnsTables,
  network: NetworkNames,
  address: string,
): Asker | undefined {
  const { askers } = network;
  const known = askers.get(address);
  if (known !== undefined || askers.has(address)) return known;
  const asker = findAsker(tables, network, address);
  if (askers.size < ASKERS_MAX) askers.set(address, asker);
  return asker;
}

function findAsker(tables: DnsTables, network: NetworkNames, address: string): Asker | undefined {
  const digits = address.includes(":") ? parseIpv6(address) : undefined;
  const isInside =
    digits === undefined
      ? ipv4InRange(parseIpv4(address) ?? 0, network.range)
      : network.range6 !== undefined && ipv6InRange(digits, network.range6);
  if (!isInside) return undefined;
  const source = tables.sources.get(digits ?? address);
  const hits = new Map<string, Hit>();
  if (source === undefined) return { stack: network.stack, networks: [network], hits };
  const others = source.networkIds.flatMap((id) => {
    const other = tables.networks.get(id);
    return other === undefined || other.id === network.id ? [] : [other];
  });
  return { stack: source.stack, networks: [network, ...others], hits };
}

export function stackKey(name: Omit<ServiceName, "service">): string {
  return `${name.project}/${name.environment}/${name.stack}`;
}

type CopiesByService = ReadonlyMap<string, readonly (CopyNames & { readonly hostname?: string })[]>;

function copiesKey(service: ServiceName, networkId: string): string {
  return `${serviceKey(service)}@${networkId}`;
}

/** What is known of the copies of a service on a network. */
interface Copies {
  readonly ready: CopiesByService;
  readonly slots: ReadonlyMap<string, ReadonlySet<number>>;
}

interface Member {
  readonly service: ServiceModel;
  readonly membership: ServiceModel["networks"][number];
}

/** Grouped once: looking through all services for each of a thousand networks would be quadratic. */
function servicesByNetwork(model: NodeNetworkModel): ReadonlyMap<string, readonly Member[]> {
  const members = new Map<string, Member[]>();
  for (const service of model.services) {
    for (const membership of service.networks) {
      append(members, membership.networkId, { service, membership });
    }
  }
  return members;
}

function attachmentsByNetwork(
  model: NodeNetworkModel,
): ReadonlyMap<string, readonly AttachmentModel[]> {
  const attached = new Map<string, AttachmentModel[]>();
  for (const item of model.attachments) append(attached, item.networkId, item);
  return attached;
}

function attachedSlots(model: NodeNetworkModel): Copies["slots"] {
  const slots = new Map<string, Set<number>>();
  for (const item of model.attachments) {
    const key = copiesKey(item, item.networkId);
    const known = slots.get(key);
    if (known === undefined) slots.set(key, new Set([item.slot]));
    else known.add(item.slot);
  }
  return slots;
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
  const fullName = fullCopyName(endpoint, endpoint.slot, domain);
  return {
    slot: endpoint.slot,
    address: parseIpv4(endpoint.address) ?? 0,
    ...address6Of(endpoint),
    ...(fullName === undefined ? {} : { fullName }),
    ...(endpoint.hostname === undefined ? {} : { hostname: asciiLower(endpoint.hostname) }),
  };
}

function suffixOf(name: ServiceName): string {
  return `${name.stack}.${name.environment}.${name.project}`;
}

function fullCopyName(name: ServiceName, slot: number, domain: string): string | undefined {
  return fullName(`${name.service}-${slot}`, name, domain);
}

/** Services may have names that are no labels, and long ones: what is too long has no full name. */
function fullName(label: string, of: ServiceName, domain: string): string | undefined {
  const name = asciiLower(`${label}.${suffixOf(of)}.${domain}`);
  return isWireName(name) ? name : undefined;
}

function buildNetwork(
  network: NetworkModel,
  on: {
    readonly services?: readonly Member[] | undefined;
    readonly attachments?: readonly AttachmentModel[] | undefined;
  },
  copies: Copies,
  domain: string,
): NetworkNames {
  const services = new Map<string, NameEntry[]>();
  const hosts = new Map<string, NameEntry[]>();
  const reverse = new Map<number, string>();
  const reverse6 = new Map<string, string>();
  const parents = new Set<string>();
  for (const { service, membership } of on.services ?? []) {
    const entry = { service: serviceNames(service, membership, copies, domain) };
    for (const label of new Set([service.service, ...membership.aliases].map(asciiLower))) {
      append(services, label, entry);
    }
    const { virtualAddress, virtualAddress6, fullName: name, suffix } = entry.service;
    for (let from = 0; from >= 0; from = suffix.indexOf(".", from) + 1 || -1) {
      parents.add(suffix.slice(from));
    }
    for (const copy of copies.ready.get(copiesKey(service, network.id)) ?? []) {
      if (copy.hostname !== undefined) append(hosts, copy.hostname, { ...entry, copy });
    }
    if (virtualAddress !== undefined && name !== undefined) reverse.set(virtualAddress, name);
    if (virtualAddress6 !== undefined && name !== undefined) reverse6.set(virtualAddress6, name);
  }
  for (const item of on.attachments ?? []) {
    const name = fullCopyName(item, item.slot, domain);
    if (name === undefined) continue;
    reverse.set(parseIpv4(item.address) ?? 0, name);
    const { address6 } = address6Of(item);
    if (address6 !== undefined) reverse6.set(address6, name);
  }
  return {
    id: network.id,
    range: parseIpv4Range(network.subnet) ?? { base: 0, bits: 32 },
    ...furtherRanges(network),
    stack: stackKey(network),
    services,
    hosts,
    parents,
    reverse,
    reverse6,
    askers: new Map(),
  };
}

function furtherRanges(
  network: NetworkModel,
): Pick<NetworkNames, "range6" | "serviceRange" | "serviceRange6"> {
  const range6 = parseIpv6Range(network.subnet6 ?? "");
  const serviceRange = parseIpv4Range(network.serviceRange ?? "");
  const serviceRange6 = parseIpv6Range(network.serviceRange6 ?? "");
  return {
    ...(range6 === undefined ? {} : { range6 }),
    ...(serviceRange === undefined ? {} : { serviceRange }),
    ...(serviceRange6 === undefined ? {} : { serviceRange6 }),
  };
}

function address6Of(item: { readonly address6?: string }): { readonly address6?: string } {
  const digits = item.address6 === undefined ? undefined : parseIpv6(item.address6);
  return digits === undefined ? {} : { address6: digits };
}

function serviceNames(
  service: ServiceModel,
  membership: Member["membership"],
  copies: Copies,
  domain: string,
): ServiceNames {
  const key = copiesKey(service, membership.networkId);
  const isVirtual = service.endpointMode === "vip";
  const virtual = isVirtual ? membership.virtualAddress : undefined;
  const virtual6 = isVirtual ? parseIpv6(membership.virtualAddress6 ?? "") : undefined;
  const name = fullName(service.service, service, domain);
  return {
    stack: stackKey(service),
    suffix: asciiLower(suffixOf(service)),
    copies: copies.ready.get(key) ?? [],
    slots: copies.slots.get(key) ?? new Set(),
    ports: service.ports,
    ...(name === undefined ? {} : { fullName: name }),
    ...(virtual === undefined ? {} : { virtualAddress: parseIpv4(virtual) ?? 0 }),
    ...(virtual6 === undefined ? {} : { virtualAddress6: virtual6 }),
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
  const sources = new Map<string, Source>();
  for (const item of model.attachments) {
    const source = {
      stack: stackKey(item),
      networkIds: networksOfTask.get(item.taskId) ?? [],
    };
    sources.set(item.address, source);
    const { address6 } = address6Of(item);
    if (address6 !== undefined) sources.set(address6, source);
  }
  return sources;
}
