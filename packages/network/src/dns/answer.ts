/**
 * What a name answers: a pure function of the tables, who asks, and the query.
 *
 * Ours are: names of services, aliases and copies that the asker's networks carry; everything below the
 * domain; reverse names of the subnets; single-label names (a mistyped service must fail at once, not
 * after the time-out of a resolver that cannot know it); `localhost`. Everything else is for the
 * forwarders. A declared service without a ready copy exists (NODATA); an unknown one does not (NXDOMAIN).
 */

import { formatIpv4, ipv4InRange, parseIpv4 } from "../ipv4.ts";
import { type DnsAnswer, type DnsRecord, failure } from "./encode.ts";
import type {
  Asker,
  CopyNames,
  DnsTables,
  NameEntry,
  NetworkNames,
  ServiceNames,
} from "./tables.ts";
import { asciiLower, CLASS_IN, type Query, RCODE, TYPE } from "./wire.ts";

/** `forward`: not ours to answer. */
export type Outcome =
  | { readonly kind: "answer"; readonly answer: DnsAnswer }
  | { readonly kind: "forward" };

/** Clients may keep an address this long: a rollout's drain is longer by far. */
export const TTL_S = 1;
/** Answers beyond this would be truncated over UDP anyway; the rotation gives every copy its turn. */
const COPIES_MAX = 64;

/** Answers `query` for `asker`. Addresses are rotated by the query's id: same query, same answer. */
export function answer(tables: DnsTables, asker: Asker, query: Query): Outcome {
  if (query.class !== CLASS_IN) return { kind: "answer", answer: failure(RCODE.refused) };
  if (query.name.endsWith(REVERSE_SUFFIX)) return answerReverse(tables, asker, query);
  if (isLocalhost(query.name)) return done(tables, query, localhostRecords(query.type));
  const srv = SRV_NAME.exec(query.name);
  if (srv !== null) {
    const [, port = "", protocol = "", rest = ""] = srv;
    const hit = lookUp(tables, asker, rest);
    if (hit !== undefined) return answerService(tables, query, { hit, port, protocol });
    return isOurs(tables, rest) ? missing(tables, query) : { kind: "forward" };
  }
  if (query.name === tables.domain)
    return done(tables, query, query.type === TYPE.SOA ? [SOA] : []);
  const hit = lookUp(tables, asker, query.name);
  if (hit !== undefined) return answerAddress(tables, query, hit);
  return isOurs(tables, query.name) ? missing(tables, query) : { kind: "forward" };
}

const REVERSE_SUFFIX = ".in-addr.arpa";
const SRV_NAME = /^_([^.]+)\._(tcp|udp)\.(.+)$/;
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
  const copies = (entriesOf(asker, service, suffix) ?? []).flatMap((entry) =>
    entry.service.copies
      .filter((copy) => copy.slot === Number(slot))
      .map((copy) => ({ service: entry.service, copy })),
  );
  return copies.length === 0 ? undefined : { entries: copies, all: true };
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

function answerAddress(tables: DnsTables, query: Query, hit: Hit): Outcome {
  if (query.type !== TYPE.A && query.type !== TYPE.ANY) return done(tables, query, []);
  const addresses = new Set(hit.entries.flatMap((entry) => addressesOf(entry, hit.all)));
  return done(
    tables,
    query,
    rotate([...addresses], query.id).map((address) => ({ type: "A", address, ttlS: TTL_S })),
  );
}

function addressesOf(entry: NameEntry, all: boolean): readonly number[] {
  if (entry.copy !== undefined) return [entry.copy.address];
  const { virtualAddress, copies } = entry.service;
  if (virtualAddress !== undefined && !all) return [virtualAddress];
  return copies.map((copy) => copy.address);
}

/** SRV names every copy: a client that asks for SRV chooses among copies by itself. */
function answerService(
  tables: DnsTables,
  query: Query,
  asked: { readonly hit: Hit; readonly port: string; readonly protocol: string },
): Outcome {
  const found = asked.hit.entries.flatMap((entry) =>
    portsOf(entry.service, asked.port, asked.protocol).flatMap((port) =>
      copiesOf(entry).map((copy) => ({ port, copy })),
    ),
  );
  const known = asked.hit.entries.some(
    (entry) => portsOf(entry.service, asked.port, asked.protocol).length > 0,
  );
  if (!known) return missing(tables, query);
  if (query.type !== TYPE.SRV && query.type !== TYPE.ANY) return done(tables, query, []);
  const chosen = rotate(found, query.id);
  const answers = chosen.map(
    ({ port, copy }): DnsRecord => ({ type: "SRV", port, target: copy.fullName, ttlS: TTL_S }),
  );
  const additional = chosen.map(
    ({ copy }): DnsRecord => ({
      type: "A",
      owner: copy.fullName,
      address: copy.address,
      ttlS: TTL_S,
    }),
  );
  return done(tables, query, answers, additional);
}

function copiesOf(entry: NameEntry): readonly CopyNames[] {
  return entry.copy === undefined ? entry.service.copies : [entry.copy];
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
  if (address === undefined) return { kind: "forward" };
  if (address >>> 24 === LOOPBACK >>> 24) return done(tables, query, pointer(query, "localhost"));
  for (const network of asker.networks) {
    const name = network.reverse.get(address);
    if (name !== undefined) return done(tables, query, pointer(query, name));
  }
  const ours = [...tables.networks.values()].some((item) => ipv4InRange(address, item.range));
  return ours ? missing(tables, query) : { kind: "forward" };
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

function rotate<T>(items: readonly T[], by: number): readonly T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)].slice(0, COPIES_MAX);
}

/** Reverse name of an address, for tests and diagnostics. */
export function reverseName(address: number): string {
  return `${formatIpv4(address).split(".").reverse().join(".")}${REVERSE_SUFFIX}`;
}
