/**
 * What a name answers: a pure function of the tables, who asks, and the query.
 *
 * Ours are: names of services, aliases and copies that the asker's networks carry; everything below the
 * domain; reverse names of the subnets; single-label names (a mistyped service must fail at once, not
 * after the time-out of a resolver that cannot know it); `localhost`. Everything else is for the
 * forwarders. A declared service without a ready copy exists (NODATA); an unknown one does not (NXDOMAIN).
 */

import { formatIpv4, ipv4InRange, parseIpv4 } from "../ipv4.ts";
import type { DnsAnswer, DnsRecord } from "./encode.ts";
import type { Asker, DnsTables, NameEntry, NetworkNames, ServiceNames } from "./tables.ts";
import { asciiLower, type Query, RCODE, TYPE } from "./wire.ts";

/** `forward`: not ours to answer. */
export type Outcome =
  | { readonly kind: "answer"; readonly answer: DnsAnswer }
  | { readonly kind: "forward" };

/** Clients may keep an address this long: a rollout's drain is longer by far. */
export const TTL_S = 1;
/**
 * Copies of one answer: a few more than fit (74 addresses in 1,232 bytes, 4,090 in 64 KiB), so that what is
 * left out shows as truncation. The rotation gives every copy its turn.
 */
const COPIES_MAX = { udp: 80, tcp: 4_100 } as const;

/**
 * Answers `query`, one that `refusalOf` has let through, for `asker`. Addresses are rotated by the query's
 * id: same query, same answer.
 */
export function answer(
  tables: DnsTables,
  asker: Asker,
  query: Query,
  transport: "udp" | "tcp" = "udp",
): Outcome {
  const { name } = query;
  const copiesMax = COPIES_MAX[transport];
  if (name.endsWith(REVERSE_SUFFIX)) return answerReverse(tables, asker, query);
  if (isLocalhost(name)) return done(tables, query, localhostRecords(query.type));
  if (name.startsWith("_")) {
    const outcome = answerPort(tables, asker, query, copiesMax);
    if (outcome !== undefined) return outcome;
  }
  if (name === tables.domain) return done(tables, query, query.type === TYPE.SOA ? [SOA] : []);
  const hit = lookUp(tables, asker, name);
  if (hit !== undefined) return answerAddress(tables, query, hit, copiesMax);
  if (isParent(tables, asker, name)) return done(tables, query, []);
  return isOurs(tables, name) ? missing(tables, query) : { kind: "forward" };
}

/** `_http._tcp.web`, and its parent `_tcp.web`, which exists without data; `undefined`: no such form. */
function answerPort(
  tables: DnsTables,
  asker: Asker,
  query: Query,
  copiesMax: number,
): Outcome | undefined {
  const [, port, protocol = "", rest = ""] = SRV_NAME.exec(query.name) ?? [];
  if (rest === "") return undefined;
  const hit = lookUp(tables, asker, rest);
  if (hit === undefined) return isOurs(tables, rest) ? missing(tables, query) : { kind: "forward" };
  if (port !== undefined) return answerService(tables, query, { hit, port, protocol, copiesMax });
  const serves = hit.entries.some(({ service }) =>
    service.ports.some((each) => each.protocol === protocol),
  );
  return serves ? done(tables, query, []) : missing(tables, query);
}

const REVERSE_SUFFIX = ".in-addr.arpa";
const SRV_NAME = /^(?:_([^.]+)\.)?_(tcp|udp)\.(.+)$/;
const COPY_NAME = /^(.+)-(\d{1,7})$/;
const TASKS_PREFIX = "tasks.";
const SOA: DnsRecord = { type: "SOA", ttlS: TTL_S };
const LOOPBACK = 0x7f000001;

/** What a name was found to mean; `all`: every copy's address even where the service has one of its own. */
interface Hit {
  readonly entries: readonly NameEntry[];
  readonly all: boolean;
}

function isLocalhost(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

function isOurs(tables: DnsTables, name: string): boolean {
  return !name.includes(".") || name.endsWith(`.${tables.domain}`);
}

/** An empty non-terminal (RFC 8020): NXDOMAIN would say that nothing is below it either. */
function isParent(tables: DnsTables, asker: Asker, name: string): boolean {
  const ending = `.${tables.domain}`;
  if (!name.endsWith(ending)) return false;
  const labels = name.slice(0, -ending.length);
  const parent = labels.startsWith(TASKS_PREFIX) ? labels.slice(TASKS_PREFIX.length) : labels;
  return asker.networks.some(({ parents }) => parents.has(parent));
}

function lookUp(tables: DnsTables, asker: Asker, name: string): Hit | undefined {
  const ending = `.${tables.domain}`;
  if (!name.endsWith(ending)) return lookUpLabel(asker, name, undefined);
  // The last three labels are stack, environment and project, which have no dots; a service may.
  const labels = name.slice(0, -ending.length).split(".");
  if (labels.length < 4) return undefined;
  return lookUpLabel(asker, labels.slice(0, -3).join("."), labels.slice(-3).join("."));
}

function lookUpLabel(asker: Asker, label: string, suffix: string | undefined): Hit | undefined {
  const direct = entriesOf(asker, label, suffix);
  if (direct !== undefined) return { entries: direct, all: false };
  if (label.startsWith(TASKS_PREFIX)) {
    const tasks = entriesOf(asker, label.slice(TASKS_PREFIX.length), suffix);
    if (tasks !== undefined) return { entries: tasks, all: true };
  }
  const [, service, slot] = COPY_NAME.exec(label) ?? [];
  if (service === undefined || String(Number(slot)) !== slot) return undefined;
  const owners = entriesOf(asker, service, suffix) ?? [];
  const copies = owners.flatMap((entry) =>
    entry.service.copies
      .filter((copy) => copy.slot === Number(slot))
      .map((copy) => ({ service: entry.service, copy })),
  );
  const exists = copies.length > 0 || owners.some((entry) => entry.service.slots.has(Number(slot)));
  return exists ? { entries: copies, all: true } : undefined;
}

/** A service of that name, else a copy of that host name: a host never takes a service's clients. */
function entriesOf(
  asker: Asker,
  label: string,
  suffix: string | undefined,
): readonly NameEntry[] | undefined {
  return (
    firstOf(asker, (network) => withSuffix(network.services.get(label), suffix)) ??
    firstOf(asker, (network) => withSuffix(network.hosts.get(label), suffix))
  );
}

/**
 * Entries on the first of the asker's networks that has any of its own stack, else on the first that has
 * any: a copy on two networks is answered once, a neighbour's `web` never instead of our own.
 */
function firstOf(
  asker: Asker,
  entriesOn: (network: NetworkNames) => readonly NameEntry[],
): readonly NameEntry[] | undefined {
  let foreign: readonly NameEntry[] | undefined;
  for (const network of asker.networks) {
    const entries = entriesOn(network);
    if (entries.length === 0) continue;
    const own = entries.filter((entry) => entry.service.stack === asker.stack);
    if (own.length > 0) return own;
    foreign ??= entries;
  }
  return foreign;
}

function withSuffix(
  entries: readonly NameEntry[] = [],
  suffix: string | undefined,
): readonly NameEntry[] {
  return suffix === undefined ? entries : entries.filter((item) => item.service.suffix === suffix);
}

function answerAddress(tables: DnsTables, query: Query, hit: Hit, copiesMax: number): Outcome {
  if (query.type !== TYPE.A && query.type !== TYPE.ANY) return done(tables, query, []);
  return done(
    tables,
    query,
    rotate(addressesOf(hit), query.id, copiesMax).map((address) => ({
      type: "A",
      address,
      ttlS: TTL_S,
    })),
  );
}

function addressesOf({ entries, all }: Hit): readonly number[] {
  const [first, second] = entries;
  if (first === undefined) return [];
  // Mostly there is one, whose addresses are all different already.
  if (second === undefined) return entryAddresses(first, all);
  return [...new Set(entries.flatMap((entry) => entryAddresses(entry, all)))];
}

function entryAddresses(entry: NameEntry, all: boolean): readonly number[] {
  if (entry.copy !== undefined) return [entry.copy.address];
  const { virtualAddress, copies } = entry.service;
  if (virtualAddress !== undefined && !all) return [virtualAddress];
  return copies.map((copy) => copy.address);
}

/** Where SRV leads: what the name itself answers, so the service's own address, or every copy. */
interface Target {
  readonly name: string;
  readonly address: number;
}

function answerService(
  tables: DnsTables,
  query: Query,
  asked: {
    readonly hit: Hit;
    readonly port: string;
    readonly protocol: string;
    readonly copiesMax: number;
  },
): Outcome {
  const { hit, port: wanted, protocol } = asked;
  let known = false;
  const found = hit.entries.flatMap((entry) => {
    const ports = portsOf(entry.service, wanted, protocol);
    known ||= ports.length > 0;
    return ports.flatMap((port) => targetsOf(entry, hit.all).map((target) => ({ port, target })));
  });
  if (!known) return missing(tables, query);
  if (query.type !== TYPE.SRV && query.type !== TYPE.ANY) return done(tables, query, []);
  const chosen = rotate(found, query.id, asked.copiesMax);
  const answers = chosen.map(
    ({ port, target }): DnsRecord => ({ type: "SRV", port, target: target.name, ttlS: TTL_S }),
  );
  const additional = chosen.map(
    ({ target: { name, address } }): DnsRecord => ({
      type: "A",
      owner: name,
      address,
      ttlS: TTL_S,
    }),
  );
  return done(tables, query, answers, additional);
}

function targetsOf(entry: NameEntry, all: boolean): readonly Target[] {
  const { virtualAddress, fullName, copies } = entry.service;
  if (entry.copy === undefined && virtualAddress !== undefined && !all) {
    return fullName === undefined ? [] : [{ name: fullName, address: virtualAddress }];
  }
  return (entry.copy === undefined ? copies : [entry.copy]).flatMap((copy) =>
    copy.fullName === undefined ? [] : [{ name: copy.fullName, address: copy.address }],
  );
}

function portsOf(service: ServiceNames, wanted: string, protocol: string): readonly number[] {
  const ports = service.ports.filter(
    (port) =>
      port.protocol === protocol &&
      (String(port.port) === wanted ||
        (port.name !== undefined && asciiLower(port.name) === wanted)),
  );
  return [...new Set(ports.map((port) => port.port))];
}

function answerReverse(tables: DnsTables, asker: Asker, query: Query): Outcome {
  const octets = query.name.slice(0, -REVERSE_SUFFIX.length).split(".").reverse();
  const address = parseIpv4(octets.join("."));
  if (address === undefined) return answerReverseParent(tables, query, octets);
  if (address >>> 24 === LOOPBACK >>> 24) return done(tables, query, pointer(query, "localhost"));
  for (const network of asker.networks) {
    const name = network.reverse.get(address);
    if (name !== undefined) return done(tables, query, pointer(query, name));
  }
  return isInRange(tables, address) ? missing(tables, query) : { kind: "forward" };
}

/** `0.1.10.in-addr.arpa` of a network of ours exists, without data; what is above belongs to the world. */
function answerReverseParent(tables: DnsTables, query: Query, octets: readonly string[]): Outcome {
  const base = octets.length === 3 ? parseIpv4(`${octets.join(".")}.0`) : undefined;
  return base !== undefined && isInRange(tables, base)
    ? done(tables, query, [])
    : { kind: "forward" };
}

function isInRange(tables: DnsTables, address: number): boolean {
  for (const { range } of tables.networks.values()) if (ipv4InRange(address, range)) return true;
  return false;
}

function pointer(query: Query, target: string): readonly DnsRecord[] {
  return query.type === TYPE.PTR || query.type === TYPE.ANY
    ? [{ type: "PTR", target, ttlS: TTL_S }]
    : [];
}

function localhostRecords(type: number): readonly DnsRecord[] {
  if (type === TYPE.A || type === TYPE.ANY) return [{ type: "A", address: LOOPBACK, ttlS: TTL_S }];
  return type === TYPE.AAAA ? [{ type: "AAAA_LOOPBACK", ttlS: TTL_S }] : [];
}

/** The name exists; without records of the wanted type it is NODATA, which takes an SOA as NXDOMAIN does. */
function done(
  tables: DnsTables,
  query: Query,
  answers: readonly DnsRecord[],
  additional: readonly DnsRecord[] = [],
): Outcome {
  const authority = answers.length > 0 ? [] : [soaFor(query.name, tables.domain)];
  return {
    kind: "answer",
    answer: { rcode: RCODE.noError, authoritative: true, answers, authority, additional },
  };
}

function missing(tables: DnsTables, query: Query): Outcome {
  const authority = [soaFor(query.name, tables.domain)];
  return {
    kind: "answer",
    answer: {
      rcode: RCODE.nameError,
      authoritative: true,
      answers: [],
      authority,
      additional: [],
    },
  };
}

/** An SOA stands at an ancestor of the name: the domain, the reverse tree, or the root for short names. */
function soaFor(name: string, domain: string): DnsRecord {
  const ancestor = [domain, "in-addr.arpa"].find(
    (zone) => name === zone || name.endsWith(`.${zone}`),
  );
  return { ...SOA, owner: ancestor ?? "" };
}

/** At most `max` items, beginning with another one for each `by`. */
function rotate<T>(items: readonly T[], by: number, max: number): readonly T[] {
  const { length } = items;
  if (length <= 1) return items;
  const start = by % length;
  const end = Math.min(length, start + max);
  const wrapped = Math.min(start, max - (end - start));
  return [...items.slice(start, end), ...items.slice(0, wrapped)];
}

/** Reverse name of an address, for tests and diagnostics. */
export function reverseName(address: number): string {
  return `${formatIpv4(address).split(".").reverse().join(".")}${REVERSE_SUFFIX}`;
}
