/**
 * What a name answers: a pure function of the tables, who asks, and the query.
 *
 * Ours are: names of services, aliases and copies that the asker's networks carry; everything below the
 * domain; reverse names of the subnets; single-label names (a mistyped service must fail at once, not
 * after the time-out of a resolver that cannot know it); `localhost`. Everything else is for the
 * forwarders. A declared service without a ready copy exists (NODATA); an unknown one does not (NXDOMAIN).
 */

import { formatIpv4, ipv4InRange, parseIpv4 } from "../ipv4.ts";
import { digitsOfReverse, ipv6InRange, isWhole } from "./address6.ts";
import {
  type DnsAnswer,
  type DnsRecord,
  type PreparedRecords,
  prepareAddresses,
} from "./encode.ts";
import { isLocalhost, isOurs, isParent, lookUp } from "./look-up.ts";
import type { Asker, DnsTables, Hit, NameEntry, ServiceNames } from "./tables.ts";
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
  if (name.endsWith(REVERSE6_SUFFIX)) return answerReverse6(tables, asker, query);
  if (isLocalhost(name)) return done(tables, query, localhostRecords(query.type));
  if (name.startsWith("_")) {
    const outcome = answerPort(tables, asker, query, copiesMax);
    if (outcome !== undefined) return outcome;
  }
  const hit = lookUp(tables, asker, name);
  if (hit !== undefined) return answerAddress(tables, query, hit, copiesMax);
  if (name === tables.domain) return done(tables, query, query.type === TYPE.SOA ? [SOA] : []);
  if (isParent(tables, asker, name)) return done(tables, query, []);
  return isOurs(tables, asker, name) ? missing(tables, query) : { kind: "forward" };
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
  if (hit === undefined) {
    return isOurs(tables, asker, rest) ? missing(tables, query) : { kind: "forward" };
  }
  if (port !== undefined) return answerService(tables, query, { hit, port, protocol, copiesMax });
  const serves = hit.entries.some(({ service }) =>
    service.ports.some((each) => each.protocol === protocol),
  );
  return serves ? done(tables, query, []) : missing(tables, query);
}

const REVERSE_SUFFIX = ".in-addr.arpa";
const REVERSE6_SUFFIX = ".ip6.arpa";
const SRV_NAME = /^(?:_([^.]+)\.)?_(tcp|udp)\.(.+)$/;
const SOA: DnsRecord = { type: "SOA", ttlS: TTL_S };
const LOOPBACK = 0x7f000001;
const LOOPBACK6 = "1".padStart(32, "0");

/**
 * The answer to most questions: prepared once for each name and type, and sent with another copy first each
 * time. Both families at once (ANY) are rare enough to be put together anew.
 */
function answerAddress(tables: DnsTables, query: Query, hit: Hit, copiesMax: number): Outcome {
  const { type, id } = query;
  if (type === TYPE.A || type === TYPE.AAAA) {
    const records = preparedOf(hit, type);
    if (records.count === 0) return done(tables, query, []);
    return {
      kind: "answer",
      answer: {
        rcode: RCODE.noError,
        authoritative: true,
        prepared: { records, first: id % records.count },
        answers: [],
        authority: [],
        additional: [],
      },
    };
  }
  if (type !== TYPE.ANY) return done(tables, query, []);
  const records: DnsRecord[] = [
    ...rotate(addressesOf(hit, entryAddresses), id, copiesMax).map(
      (address): DnsRecord => ({ type: "A", address, ttlS: TTL_S }),
    ),
    ...rotate(addressesOf(hit, entryAddresses6), id, copiesMax).map(
      (address): DnsRecord => ({ type: "AAAA", address, ttlS: TTL_S }),
    ),
  ];
  return done(tables, query, records);
}

function preparedOf(hit: Hit, type: typeof TYPE.A | typeof TYPE.AAAA): PreparedRecords {
  const known = hit.prepared.get(type);
  if (known !== undefined) return known;
  const records =
    type === TYPE.A
      ? prepareAddresses("A", addressesOf(hit, entryAddresses), TTL_S)
      : prepareAddresses("AAAA", addressesOf(hit, entryAddresses6), TTL_S);
  hit.prepared.set(type, records);
  return records;
}

function addressesOf<T>(
  { entries, all }: Hit,
  of: (entry: NameEntry, all: boolean) => readonly T[],
): readonly T[] {
  const [first, second] = entries;
  if (first === undefined) return [];
  // Mostly there is one, whose addresses are all different already.
  if (second === undefined) return of(first, all);
  return [...new Set(entries.flatMap((entry) => of(entry, all)))];
}

function entryAddresses(entry: NameEntry, all: boolean): readonly number[] {
  if (entry.copy !== undefined) return [entry.copy.address];
  const { virtualAddress, copies } = entry.service;
  if (virtualAddress !== undefined && !all) return [virtualAddress];
  return copies.map((copy) => copy.address);
}

/** A service with an address of its own answers no copies, also where it has that address as IPv4 only. */
function entryAddresses6(entry: NameEntry, all: boolean): readonly string[] {
  if (entry.copy !== undefined)
    return entry.copy.address6 === undefined ? [] : [entry.copy.address6];
  const { virtualAddress, virtualAddress6, copies } = entry.service;
  if (virtualAddress6 !== undefined && !all) return [virtualAddress6];
  if (virtualAddress !== undefined && !all) return [];
  return copies.flatMap((copy) => copy.address6 ?? []);
}

/** Where SRV leads: what the name itself answers, so the service's own address, or every copy. */
interface Target {
  readonly name: string;
  readonly address: number;
  readonly address6?: string | undefined;
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
  const additional = chosen.flatMap(({ target }) => addressRecords(target));
  return done(tables, query, answers, additional);
}

function addressRecords({ name: owner, address, address6 }: Target): DnsRecord[] {
  const a: DnsRecord = { type: "A", owner, address, ttlS: TTL_S };
  if (address6 === undefined) return [a];
  return [a, { type: "AAAA", owner, address: address6, ttlS: TTL_S }];
}

function targetsOf(entry: NameEntry, all: boolean): readonly Target[] {
  const { virtualAddress, virtualAddress6, fullName, copies } = entry.service;
  if (entry.copy === undefined && virtualAddress !== undefined && !all) {
    if (fullName === undefined) return [];
    return [{ name: fullName, address: virtualAddress, address6: virtualAddress6 }];
  }
  return (entry.copy === undefined ? copies : [entry.copy]).flatMap(
    ({ fullName: name, address, address6 }) =>
      name === undefined ? [] : [{ name, address, address6 }],
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

function answerReverse6(tables: DnsTables, asker: Asker, query: Query): Outcome {
  const digits = digitsOfReverse(query.name.slice(0, -REVERSE6_SUFFIX.length));
  if (digits === undefined) return { kind: "forward" };
  if (digits === LOOPBACK6) return done(tables, query, pointer(query, "localhost"));
  for (const network of asker.networks) {
    const name = network.reverse6.get(digits);
    if (name !== undefined) return done(tables, query, pointer(query, name));
  }
  for (const { range6, serviceRange6 } of tables.networks.values()) {
    const isOurs = [range6, serviceRange6].some((range) => range && ipv6InRange(digits, range));
    if (isOurs) return isWhole(digits) ? missing(tables, query) : done(tables, query, []);
  }
  return { kind: "forward" };
}

/** Of a network, or of those that its services' own addresses are from: nobody else is asked. */
function isInRange(tables: DnsTables, address: number): boolean {
  for (const { range, serviceRange } of tables.networks.values()) {
    if (ipv4InRange(address, range)) return true;
    if (serviceRange !== undefined && ipv4InRange(address, serviceRange)) return true;
  }
  return false;
}

function pointer(query: Query, target: string): readonly DnsRecord[] {
  return query.type === TYPE.PTR || query.type === TYPE.ANY
    ? [{ type: "PTR", target, ttlS: TTL_S }]
    : [];
}

function localhostRecords(type: number): readonly DnsRecord[] {
  if (type === TYPE.A || type === TYPE.ANY) return [{ type: "A", address: LOOPBACK, ttlS: TTL_S }];
  return type === TYPE.AAAA ? [{ type: "AAAA", address: LOOPBACK6, ttlS: TTL_S }] : [];
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
  const ancestor = [domain, "in-addr.arpa", "ip6.arpa"].find(
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
