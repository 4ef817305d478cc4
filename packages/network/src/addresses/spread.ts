/**
 * How connections to service addresses and published UDP ports are spread over copies: a pure function from
 * the model to the content of our nftables table `berth_<cluster>_address`.
 *
 * A service address counts only on its own network's bridge. Each new connection goes to a ready copy by
 * chance (conntrack keeps it there, its source unchanged); with affinity each copy remembers its sources.
 * An address that no ready copy stands behind is refused at once. A copy that calls its own service may be
 * answered by itself: that connection alone comes from the gateway, since nobody takes packets from himself.
 *
 * A task on several networks has one way out. Its connection to an address on another of its networks comes
 * in at the wrong bridge: it is known as a guest there, and goes on under its own address of that network.
 *
 * Cost: O(model); rules per packet O(1): one look-up leads to the service's chain of one to three rules.
 * Design page: docs/design/network.md
 */

import { createHash } from "node:crypto";
import {
  type AttachmentModel,
  type EndpointModel,
  type NetworkModel,
  type NodeNetworkModel,
  serviceKey,
} from "../model.ts";
import type { ServiceName } from "../service-name.ts";
import type { TableFrame, TableState } from "./table-state.ts";

/** What of the model this part follows. */
export type SpreadInput = Pick<
  NodeNetworkModel,
  "generation" | "cluster" | "networks" | "services" | "endpoints" | "attachments" | "udpPorts"
>;

/** Sources that are remembered for one copy; more of them are spread anew with each connection. */
const AFFINITY_SOURCES_MAX = 65_536;
const ANY_ADDRESS = "0.0.0.0";
const LOOPBACK = "127.0.0.0/8";

interface Family {
  readonly version: 4 | 6;
  /** nft's word for the protocol and for the type of an address. */
  readonly protocol: "ip" | "ip6";
  readonly type: "ipv4_addr" | "ipv6_addr";
  /** Names of sets end so. */
  readonly suffix: "" | "6";
}

const FAMILIES: readonly Family[] = [
  { version: 4, protocol: "ip", type: "ipv4_addr", suffix: "" },
  { version: 6, protocol: "ip6", type: "ipv6_addr", suffix: "6" },
];

export function spreadTable(clusterId: string): string {
  return `berth_${clusterId}_address`;
}

export function spreadFrame(clusterId: string): TableFrame {
  const sets = new Map<string, readonly string[]>();
  const set = (name: string, ...lines: readonly string[]) =>
    sets.set(name, [`set ${name}`, ...lines]);
  const map = (name: string, ...lines: readonly string[]) =>
    sets.set(name, [`map ${name}`, ...lines]);
  set("bridges", "type ifname");
  set("internal_bridges", "type ifname");
  for (const { type, suffix } of FAMILIES) {
    map(`services${suffix}`, `type ifname . ${type} : verdict`);
    set(`own${suffix}`, `type ${type} . ${type}`);
    map(`guests${suffix}`, `type ifname . ${type} . ${type} : verdict`);
    map(`twins${suffix}`, `type ifname . ${type} : ${type}`);
    set(`ranges${suffix}`, `type ${type}`, "flags interval", "auto-merge");
  }
  set("remotes", "type ifname . ipv4_addr");
  set("gateways", "type ifname . ipv4_addr");
  set("subnets", "type ifname . ipv4_addr", "flags interval");
  map("node_addresses", "type ifname : ipv4_addr");
  map("ports_anywhere", "type inet_service : verdict");
  map("ports", "type ipv4_addr . inet_service : verdict");
  return { table: spreadTable(clusterId), sets, baseChains: baseChains() };
}

/** Before the engine's own chains of the same hooks (-100 and 100). */
const DNAT_PRIORITY = -101;
const SNAT_PRIORITY = 99;
const AS_NODE = "snat ip to oifname map @node_addresses";
/** After the look-up, and before the host decides where to send what was not translated. */
const REFUSE_PRIORITY = -90;
/**
 * A copy that ends with a reset leaves its flow with the kernel for 10 s (`nf_conntrack_tcp_timeout_close`). A client
 * that takes the same port again within them would be led to the copy that is gone, whoever is ready: its first packet
 * is dropped instead, and the next one, a second later, finds the flow forgotten (`FlowKeeper`) and a ready copy.
 * Flows that ended otherwise are opened anew by the kernel itself; living ones expire later than that.
 */
const REOPENED_AFTER_RESET =
  "iifname @bridges ct direction original ct status dnat ct state established" +
  " tcp flags & (syn | ack) == syn ct expiration <= 10s drop";

function baseChains(): TableFrame["baseChains"] {
  const published = [
    "fib daddr type local ip daddr . udp dport vmap @ports",
    "fib daddr type local meta nfproto ipv4 udp dport vmap @ports_anywhere",
  ];
  return new Map([
    [
      "prerouting",
      [
        `type nat hook prerouting priority ${DNAT_PRIORITY}; policy accept;`,
        ...FAMILIES.flatMap(({ protocol, suffix }) => [
          `iifname . ${protocol} daddr vmap @services${suffix}`,
          `iifname . ${protocol} saddr . ${protocol} daddr vmap @guests${suffix}`,
        ]),
        "iifname @internal_bridges accept",
        ...published,
      ],
    ],
    ["output", [`type nat hook output priority ${DNAT_PRIORITY}; policy accept;`, ...published]],
    [
      "refuse",
      [
        `type filter hook prerouting priority ${REFUSE_PRIORITY}; policy accept;`,
        REOPENED_AFTER_RESET,
        ...FAMILIES.flatMap(({ protocol, suffix }) => {
          const refused = `iifname @bridges ${protocol} daddr @ranges${suffix}`;
          return [
            `${refused} meta l4proto tcp reject with tcp reset`,
            `${refused} reject with icmpx type port-unreachable`,
          ];
        }),
      ],
    ],
    [
      "postrouting",
      [
        `type nat hook postrouting priority ${SNAT_PRIORITY}; policy accept;`,
        ...FAMILIES.flatMap(({ protocol, suffix }) => [
          `ct status dnat ${protocol} saddr . ${protocol} daddr @own${suffix} masquerade`,
          `ct status dnat snat ${protocol} to oifname . ${protocol} saddr map @twins${suffix}`,
        ]),
        // To a copy on another node the host goes as itself, not as the gateway that each node is, and so does
        // what comes through it from outside: the answer has to find this node.
        `oifname . ip daddr @remotes oifname . ip saddr @gateways ${AS_NODE}`,
        `oifname . ip daddr @remotes oifname . ip saddr != @subnets ${AS_NODE}`,
        // A process of the host that asked 127.0.0.1: no copy can answer to that address.
        `oifname @bridges ct status dnat ip saddr ${LOOPBACK} masquerade`,
      ],
    ],
  ]);
}

export function spreadState(input: SpreadInput): TableState {
  const draft = new Draft();
  const networks = new Map(input.networks.map((network) => [network.id, network]));
  for (const network of input.networks) {
    draft.add("bridges", quoted(network.bridge));
    if (network.internal) draft.add("internal_bridges", quoted(network.bridge));
    if (network.serviceRange !== undefined) draft.add("ranges", network.serviceRange);
    if (network.serviceRange6 !== undefined) draft.add("ranges6", network.serviceRange6);
  }
  addRemotes(draft, input);
  const copies = readyCopies(input.endpoints);
  const guests = guestsByNetwork(input);
  for (const service of input.services) {
    if (service.endpointMode !== "vip") continue;
    for (const { networkId, ...addresses } of service.networks) {
      const network = networks.get(networkId);
      if (network === undefined) continue;
      const ready = copies.get(copiesKey(service, networkId)) ?? [];
      for (const family of FAMILIES) {
        const address = family.version === 4 ? addresses.virtualAddress : addresses.virtualAddress6;
        if (address === undefined) continue;
        const chain = `s${family.version}_${digest(`${networkId} ${serviceKey(service)}`)}`;
        for (const guest of guests.get(networkId) ?? []) {
          addGuest(draft, family, { guest, network, address, chain });
        }
        draft.add(
          `services${family.suffix}`,
          `${quoted(network.bridge)} . ${address}`,
          `goto ${chain}`,
        );
        // A network that was made before its range was told has its addresses one by one.
        const range = family.version === 4 ? network.serviceRange : network.serviceRange6;
        if (range === undefined) draft.add(`ranges${family.suffix}`, address);
        addService(draft, family, { chain, ready, timeoutMs: service.affinity?.timeoutMs });
      }
    }
  }
  for (const port of input.udpPorts ?? []) {
    const ready = copies.get(copiesKey(port.target, port.target.networkId)) ?? [];
    const addresses = ready.map(({ address }) => address);
    const chain = `udp_${digest(`${port.hostAddress} ${port.hostPort}`)}`;
    const rules = spreadRules("ip", addresses, `:${port.target.port}`);
    // nft asks for the match before it takes a port.
    draft.chains.set(
      chain,
      rules.map((rule) => `meta l4proto udp ${rule}`),
    );
    if (port.hostAddress === ANY_ADDRESS) {
      draft.add("ports_anywhere", String(port.hostPort), `goto ${chain}`);
    } else draft.add("ports", `${port.hostAddress} . ${port.hostPort}`, `goto ${chain}`);
  }
  return draft;
}

/** Addresses behind other nodes, and by which this node asks them. */
function addRemotes(draft: Draft, { networks, attachments }: SpreadInput): void {
  const bridges = new Map<string, string>();
  for (const { id, bridge, gateway, subnet, overlay } of networks) {
    if (overlay === undefined) continue;
    bridges.set(id, bridge);
    draft.add("gateways", `${quoted(bridge)} . ${gateway}`);
    draft.add("subnets", `${quoted(bridge)} . ${subnet}`);
    draft.add("node_addresses", quoted(bridge), overlay.nodeAddress);
  }
  for (const { networkId, address, remote } of attachments) {
    const bridge = bridges.get(networkId);
    if (bridge === undefined || remote !== true) continue;
    draft.add("remotes", `${quoted(bridge)} . ${address}`);
  }
}

/** A task of this node that is on another network as well, with its addresses on both. */
interface Guest {
  /** Bridge of the other network, where its connections may come in. */
  readonly bridge: string;
  readonly from: AttachmentModel;
  readonly to: AttachmentModel;
}

/** By network: the tasks that are on it and on others. O(attachments × networks of a task). */
function guestsByNetwork({ networks, attachments }: SpreadInput): ReadonlyMap<string, Guest[]> {
  const bridges = new Map(networks.map(({ id, bridge }) => [id, bridge]));
  const byTask = new Map<string, AttachmentModel[]>();
  for (const attachment of attachments) {
    if (attachment.remote === true) continue;
    const known = byTask.get(attachment.taskId);
    if (known === undefined) byTask.set(attachment.taskId, [attachment]);
    else known.push(attachment);
  }
  const guests = new Map<string, Guest[]>();
  for (const own of byTask.values()) {
    for (const to of own) {
      for (const from of own) {
        const bridge = bridges.get(from.networkId);
        if (from === to || bridge === undefined) continue;
        const known = guests.get(to.networkId);
        if (known === undefined) guests.set(to.networkId, [{ bridge, from, to }]);
        else known.push({ bridge, from, to });
      }
    }
  }
  return guests;
}

function addGuest(
  draft: Draft,
  { version, suffix }: Family,
  wish: {
    readonly guest: Guest;
    readonly network: NetworkModel;
    readonly address: string;
    readonly chain: string;
  },
): void {
  const { guest, network, address, chain } = wish;
  const from = version === 4 ? guest.from.address : guest.from.address6;
  const to = version === 4 ? guest.to.address : guest.to.address6;
  if (from === undefined || to === undefined) return;
  const key = `${quoted(guest.bridge)} . ${from} . ${address}`;
  draft.add(`guests${suffix}`, key, `goto ${chain}`);
  // Where it is itself the copy that is chosen.
  draft.add(`own${suffix}`, `${from} . ${to}`);
  draft.add(`twins${suffix}`, `${quoted(network.bridge)} . ${from}`, to);
}

/** Ranges of service addresses that tasks reach from another of their networks. */
export function guestRanges(input: SpreadInput): readonly string[] {
  const guests = guestsByNetwork(input);
  const ranges = new Set<string>();
  for (const { id, serviceRange, serviceRange6 } of input.networks) {
    if (!guests.has(id)) continue;
    if (serviceRange !== undefined) ranges.add(serviceRange);
    if (serviceRange6 !== undefined) ranges.add(serviceRange6);
  }
  return [...ranges].sort();
}

class Draft implements TableState {
  readonly dynamicSets = new Map<string, readonly string[]>();
  readonly chains = new Map<string, readonly string[]>();
  readonly elements = new Map<string, Map<string, string | undefined>>();

  /** The first to say something about a key counts: the model's order is stable. */
  add(set: string, key: string, data?: string): void {
    const elements = this.elements.get(set) ?? new Map<string, string | undefined>();
    this.elements.set(set, elements);
    if (!elements.has(key)) elements.set(key, data);
  }
}

interface ServiceSpread {
  readonly chain: string;
  readonly ready: readonly EndpointModel[];
  readonly timeoutMs: number | undefined;
}

function addService(
  draft: Draft,
  family: Family,
  { chain, ready, timeoutMs }: ServiceSpread,
): void {
  const { protocol, suffix } = family;
  const addresses: string[] = [];
  for (const copy of ready) {
    const address = family.version === 4 ? copy.address : copy.address6;
    if (address === undefined) continue;
    addresses.push(address);
    // Only a copy of this node can be its own client here.
    if (copy.remote !== true) draft.add(`own${suffix}`, `${address} . ${address}`);
  }
  if (timeoutMs === undefined) {
    draft.chains.set(chain, spreadRules(protocol, addresses, ""));
    return;
  }
  draft.chains.set(chain, affinityRules(draft, family, { chain, addresses, timeoutMs }));
}

/**
 * A source goes to the copy that remembers it, else to any, which then does. One rule for each copy: only the
 * first packet of a connection meets them. (One map of sources to copies would need no such rules, but nft
 * cannot begin its times anew.) What a copy remembers goes with it.
 */
function affinityRules(
  draft: Draft,
  { protocol, type }: Family,
  spread: {
    readonly chain: string;
    readonly addresses: readonly string[];
    readonly timeoutMs: number;
  },
): readonly string[] {
  const { chain, addresses, timeoutMs } = spread;
  const seconds = Math.max(1, Math.round(timeoutMs / 1_000));
  const known: string[] = [];
  const choices: string[] = [];
  for (const [index, address] of addresses.entries()) {
    const copy = `${chain}_${digest(address)}`;
    draft.dynamicSets.set(copy, [
      `type ${type}`,
      `size ${AFFINITY_SOURCES_MAX}`,
      "flags dynamic,timeout",
    ]);
    draft.chains.set(copy, [
      `update @${copy} { ${protocol} saddr timeout ${seconds}s }`,
      `dnat ${protocol} to ${address}`,
    ]);
    known.push(`${protocol} saddr @${copy} goto ${copy}`);
    choices.push(`${index} : goto ${copy}`);
  }
  if (choices.length === 0) return [];
  return [...known, `numgen random mod ${choices.length} vmap { ${choices.join(", ")} }`];
}

/** One rule that gives each copy the same chance; none when there is no copy. */
function spreadRules(
  protocol: Family["protocol"],
  addresses: readonly string[],
  port: string,
): readonly string[] {
  const [first] = addresses;
  if (first === undefined) return [];
  if (addresses.length === 1) return [`dnat ${protocol} to ${first}${port}`];
  const choices = addresses.map((address, index) => `${index} : ${address}`);
  const choice = `numgen random mod ${addresses.length} map { ${choices.join(", ")} }`;
  return [`dnat ${protocol} to ${choice}${port === "" ? "" : ` ${port}`}`];
}

function readyCopies(
  endpoints: readonly EndpointModel[],
): ReadonlyMap<string, readonly EndpointModel[]> {
  const copies = new Map<string, EndpointModel[]>();
  for (const endpoint of endpoints) {
    if (endpoint.state !== "ready") continue;
    const key = copiesKey(endpoint, endpoint.networkId);
    const list = copies.get(key);
    if (list === undefined) copies.set(key, [endpoint]);
    else list.push(endpoint);
  }
  for (const list of copies.values()) list.sort((a, b) => (a.address < b.address ? -1 : 1));
  return copies;
}

function copiesKey(service: ServiceName, networkId: string): string {
  return `${serviceKey(service)}@${networkId}`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

function quoted(text: string): string {
  return `"${text}"`;
}
