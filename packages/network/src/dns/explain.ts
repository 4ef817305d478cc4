/**
 * What would be answered to somebody, and why, in words and as data: for people who look for a mistake.
 * The answer is the one that a packet would get; only the words are made here. Pure.
 */

import { formatIpv4 } from "../ipv4.ts";
import { type NodeNetworkModel, serviceKey } from "../model.ts";
import { answer } from "./answer.ts";
import { answerRecords, type DnsRecord } from "./encode.ts";
import { isLocalhost, isOurs, isParent, lookUp } from "./look-up.ts";
import { type Asker, askerOf, type DnsTables, type Hit } from "./tables.ts";
import { asciiLower, CLASS_IN, isWireName, TYPE } from "./wire.ts";

/** Types that can be asked for by name. */
export const LOOKUP_TYPES = ["A", "AAAA", "SRV", "PTR", "ANY"] as const;
export type LookupType = (typeof LOOKUP_TYPES)[number];

export interface LookupQuestion {
  readonly name: string;
  readonly type: LookupType;
  /** `web`, `shop/web`, a task, an address; absent: the host itself. */
  readonly from?: string;
}

/** What would be answered; the wire format of `GET /lookup`. */
export interface LookupReport {
  readonly name: string;
  readonly type: LookupType;
  readonly asker: {
    /** `host`, `default/main/shop/web task abc at 10.64.0.5`. */
    readonly who: string;
    /** Networks whose names it sees, the one that it asks on first. */
    readonly networks: readonly string[];
  };
  /** `answer`: by us; `forward`: by the resolvers in `forwarders`. */
  readonly outcome: "answer" | "forward";
  readonly code: "NOERROR" | "NXDOMAIN" | "NODATA" | "FORWARDED";
  /** `web 1 A 10.64.0.5` */
  readonly records: readonly string[];
  /** Why: rule and network, copies that are left out. */
  readonly because: string;
  readonly forwarders: readonly string[];
}

/** `reason` when the question cannot be put: nobody of that name, or no name. */
export type LookupResult =
  | { readonly ok: true; readonly report: LookupReport }
  | { readonly ok: false; readonly reason: string };

export function explain(
  model: NodeNetworkModel,
  tables: DnsTables,
  question: LookupQuestion,
): LookupResult {
  const name = asciiLower(question.name.replace(/\.$/, ""));
  if (!isWireName(name)) return { ok: false, reason: `"${question.name}" is no name` };
  const found = findAsker(model, tables, question.from);
  if ("reason" in found) return { ok: false, reason: found.reason };
  const { asker, who } = found;
  const outcome = answer(tables, asker, {
    id: 0,
    recursionDesired: true,
    checkingDisabled: false,
    name,
    type: TYPE[question.type],
    class: CLASS_IN,
    question: Buffer.alloc(0),
  });
  const isForwarded = outcome.kind === "forward";
  const answers = isForwarded ? [] : answerRecords(outcome.answer);
  const networkName = (id: string) => nameOfNetwork(model, id);
  const code = isForwarded
    ? "FORWARDED"
    : outcome.answer.rcode !== 0
      ? "NXDOMAIN"
      : answers.length === 0
        ? "NODATA"
        : "NOERROR";
  return {
    ok: true,
    report: {
      name,
      type: question.type,
      asker: { who, networks: asker.networks.map(({ id }) => networkName(id)) },
      outcome: outcome.kind,
      code,
      records: answers.map((record) => recordText(name, record)),
      because: reasonOf(tables, asker, name, networkName),
      forwarders: model.forwarders,
    },
  };
}

type Found = { readonly asker: Asker; readonly who: string } | { readonly reason: string };

/** A task of this node or a neighbour's, by service, identifier or address; the first in order of slot. */
function findAsker(model: NodeNetworkModel, tables: DnsTables, from: string | undefined): Found {
  if (from === undefined) return { asker: tables.host, who: "this machine itself" };
  const isMeant = (item: NodeNetworkModel["attachments"][number]) =>
    [item.taskId, item.address, item.address6, item.service, serviceKey(item)].includes(from) ||
    serviceKey(item).endsWith(`/${from}`) ||
    `${item.service}-${item.slot}` === from;
  const meant = model.attachments.filter(isMeant).sort((a, b) => a.slot - b.slot);
  const [first] = meant;
  if (first === undefined) {
    return {
      reason: `no task of this node's networks is ${from}; expected SERVICE, STACK/SERVICE, a task or an address`,
    };
  }
  const others = new Set(meant.map(serviceKey));
  if (others.size > 1) return { reason: `${from} is each of ${[...others].join(", ")}: name one` };
  const network = tables.networks.get(first.networkId);
  const asker = network && askerOf(tables, network, first.address);
  if (asker === undefined) return { reason: `${first.address} is outside its network` };
  return { asker, who: `${serviceKey(first)}, task ${first.taskId} at ${first.address}` };
}

function nameOfNetwork(model: NodeNetworkModel, id: string): string {
  const network = model.networks.find((each) => each.id === id);
  return network === undefined ? id : `${network.stack}/${network.name}`;
}

function recordText(name: string, record: DnsRecord): string {
  const head = `${record.owner ?? name} ${record.ttlS} ${record.type}`;
  switch (record.type) {
    case "A":
      return `${head} ${formatIpv4(record.address)}`;
    case "AAAA":
      return `${head} ${record.address.replace(/(.{4})(?!$)/g, "$1:")}`;
    case "PTR":
      return `${head} ${record.target}`;
    case "SRV":
      return `${head} ${record.port} ${record.target}`;
    case "SOA":
      return head;
  }
}

const PORT_PREFIX = /^(?:_[^.]+\.)?_(?:tcp|udp)\./;

function reasonOf(
  tables: DnsTables,
  asker: Asker,
  name: string,
  networkName: (id: string) => string,
): string {
  if (name.endsWith(".arpa")) return "reverse names are those of attachments and service addresses";
  if (isLocalhost(name)) return "localhost is this machine, for everybody";
  const owner = name.replace(PORT_PREFIX, "");
  const hit = lookUp(tables, asker, owner);
  if (hit !== undefined) return meaningOf(hit, networkName(hit.network.id));
  if (isParent(tables, asker, owner))
    return "names of services are below it; it has no data itself";
  if (owner === tables.domain) return "it is the domain of all full names";
  if (!isOurs(tables, asker, owner)) {
    const short = asker.isHost !== undefined && !owner.includes(".");
    return short
      ? "short names mean something inside a stack only: ask with --from, or for the full name"
      : `it is not below ${tables.domain}: the resolvers of this machine are asked`;
  }
  const networks = asker.networks.map(({ id }) => networkName(id)).join(", ");
  return `no service, alias or host name ${owner} on ${networks === "" ? "any network here" : networks}`;
}

function meaningOf({ entries, all, rule }: Hit, networkName: string): string {
  const services = [...new Set(entries.map(({ service }) => service.fullName ?? service.suffix))];
  const what = {
    service: `a service (or its alias) on network ${networkName}`,
    hostname: `the host name of a copy on network ${networkName}`,
    tasks: `the copies of a service on network ${networkName}`,
    copy: `one copy of a service on network ${networkName}`,
  }[rule];
  const [first] = entries;
  const virtual = first?.service.virtualAddress;
  const ready = entries.flatMap(({ service }) => service.copies).length;
  const attached = entries.reduce((sum, { service }) => sum + service.slots.size, 0);
  if (rule === "service" && virtual !== undefined && !all) {
    return `${what}: ${services.join(", ")}; it has an address of its own, behind which ${ready} of ${attached} attached copies are ready`;
  }
  if (rule === "copy" && entries.length === 0) return `${what}; it is attached, and not ready`;
  return `${what}: ${services.join(", ")}; ${ready} of ${attached} attached copies are ready`;
}
