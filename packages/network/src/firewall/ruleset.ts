/**
 * The node's isolation as one nftables table of our own: a pure function from networks and open ports to
 * text for `nft -f -`.
 *
 * Only drops have an effect here: an accept in our chains merely ends them, other tables (an engine's, the
 * administrator's) still decide. So we never open what somebody else closes, and never rely on their
 * accepts. Rules per packet are O(1) in the number of networks: one look-up leads to the network's chain.
 *
 * Design page: docs/design/network.md
 */

import { createHash } from "node:crypto";
import type { HostPolicyModel, NetworkModel, UnderlayModel } from "../model.ts";
import { type SpanningNetwork, spanningNetworks } from "../overlay/wanted.ts";

export interface FirewallInput {
  readonly clusterId: string;
  readonly networks: readonly NetworkModel[];
  /** Host ports that HAProxy holds: asked for by users, so containers may use them as anybody may. */
  readonly publishedPorts: readonly { readonly address: string; readonly port: number }[];
  readonly hostPolicy: HostPolicyModel;
  readonly dnsPort: number;
  /** Where other nodes send packets of networks that span hosts; omitted: there are none. */
  readonly underlay?: UnderlayModel;
}

export interface Ruleset {
  readonly table: string;
  /** Digest of the rules; the table holds an empty chain of this name, by which it is recognised. */
  readonly version: string;
  /** Chains and how many rules each has: what reading back is compared with. */
  readonly rulesByChain: ReadonlyMap<string, number>;
  /** Sets and chains, without the table around them. */
  readonly body: readonly string[];
  /** Replaces the table as one transaction; applying it twice is harmless. */
  readonly text: string;
}

/** Before the engine's filter chains (priority 0), so that what we drop is not even counted there. */
const FILTER_PRIORITY = -10;
/** The network's identifier in a VXLAN packet: behind 8 bytes of UDP and 4 of flags. */
const OVERLAY_ID = "@th,96,24";
/** Of an IPv4 packet, those that TCP's data cannot use. */
const TCP_HEADERS_BYTES = 40;
/** Where clouds hand out credentials to whoever asks. */
const METADATA_ADDRESS = "169.254.169.254";
const METADATA_ADDRESS6 = "fd00:ec2::254";
/** What a host of IPv6 sends from before it has an address, and to its neighbours. */
const NEIGHBOUR_SOURCES = "{ ::, fe80::/10 }";
const ANY_ADDRESS = "0.0.0.0";

export function tableName(clusterId: string): string {
  return `berth_${clusterId}`;
}

export function renderRuleset(input: FirewallInput): Ruleset {
  const table = tableName(input.clusterId);
  const networks = [...input.networks].sort((a, b) => (a.id < b.id ? -1 : 1));
  const chains = new Map<string, readonly string[]>([
    ["input", [...memberRules(input), ...inputRules(networks, input)]],
    ["forward", [...overlayRules(input), ...forwardRules(networks, input.hostPolicy)]],
    ["output", outputRules(input.dnsPort)],
  ]);
  for (const network of networks) chains.set(hostChain(network), hostRules(network, input));
  const body = [
    ...sets(networks, input),
    ...[...chains].flatMap(([name, rules]) => chain(name, rules)),
  ];
  const version = createHash("sha256").update(body.join("\n")).digest("hex").slice(0, 16);
  const rulesByChain = new Map([...chains].map(([name, rules]) => [name, rules.length]));
  rulesByChain.set(versionChain(version), 0);
  // Declared first, so that deleting it cannot fail; all in one transaction: no moment without rules.
  const lines = [
    `table inet ${table} {}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    `  chain ${versionChain(version)} {`,
    "  }",
    ...body.map((line) => `  ${line}`),
    "}",
    "",
  ];
  return { table, version, rulesByChain, body, text: lines.join("\n") };
}

function versionChain(version: string): string {
  return `version_${version}`;
}

/** Interface names may hold characters that chain names may not; the id's digest is always safe. */
function hostChain(network: NetworkModel): string {
  return `host_${createHash("sha256").update(network.id).digest("hex").slice(0, 12)}`;
}

const HOOKS: Readonly<Record<string, string>> = {
  input: `type filter hook input priority ${FILTER_PRIORITY}; policy accept;`,
  forward: `type filter hook forward priority ${FILTER_PRIORITY}; policy accept;`,
  output: `type filter hook output priority ${FILTER_PRIORITY}; policy accept;`,
};

function chain(name: string, rules: readonly string[]): string[] {
  const hook = HOOKS[name];
  return [
    `chain ${name} {`,
    ...(hook === undefined ? [] : [`  ${hook}`]),
    ...rules.map((rule) => `  ${rule}`),
    "}",
  ];
}

function sets(networks: readonly NetworkModel[], input: FirewallInput): string[] {
  const anywhere = input.publishedPorts.filter((port) => port.address === ANY_ADDRESS);
  const exact = input.publishedPorts.filter((port) => port.address !== ANY_ADDRESS);
  return [
    ...set(
      "bridges",
      "type ifname;",
      networks.map((network) => quoted(network.bridge)),
    ),
    ...set(
      "same_bridge",
      "type ifname . ifname;",
      networks.map((network) => `${quoted(network.bridge)} . ${quoted(network.bridge)}`),
    ),
    ...set(
      "internal_bridges",
      "type ifname;",
      networks.filter((network) => network.internal).map((network) => quoted(network.bridge)),
    ),
    ...overlaySets(spanningNetworks(input)),
    ...set(
      "published_anywhere",
      "type inet_service;",
      anywhere.map((port) => String(port.port)),
    ),
    ...set(
      "published",
      "type ipv4_addr . inet_service;",
      exact.map((port) => `${port.address} . ${port.port}`),
    ),
  ];
}

/** Who may send packets of which network, and where other nodes take them; nothing where none spans hosts. */
function overlaySets(networks: readonly SpanningNetwork[]): string[] {
  if (networks.length === 0) return [];
  const peers = networks.flatMap(({ overlay }) => overlay.peers);
  return [
    ...set(
      "overlay_members",
      `typeof ip saddr . ${OVERLAY_ID};`,
      networks.flatMap(({ overlay }) =>
        overlay.peers.map(({ address }) => `${address} . ${overlay.id}`),
      ),
    ),
    ...set(
      "overlay_nodes",
      "type ipv4_addr;",
      peers.map(({ address }) => address),
    ),
    ...set(
      "overlay_doors",
      "type ipv4_addr . inet_service;",
      peers.map(({ address, port }) => `${address} . ${port}`),
    ),
  ];
}

function set(name: string, type: string, elements: readonly string[]): string[] {
  const unique = [...new Set(elements)].sort();
  const content = unique.length === 0 ? [] : [`  elements = { ${unique.join(", ")} }`];
  return [`set ${name} {`, `  ${type}`, ...content, "}"];
}

function quoted(text: string): string {
  return `"${text}"`;
}

/**
 * Packets that cross the host. Rules are in order; the first that ends the chain decides.
 * Inside one network everything goes (bridged frames pass here too where br_netfilter is on).
 */
function forwardRules(networks: readonly NetworkModel[], policy: HostPolicyModel): string[] {
  return [
    "iifname . oifname @same_bridge accept",
    ...metadataRules(policy),
    ...antiSpoofing(networks),
    // Connections to service addresses: only those that may be are translated (addresses/spread.ts), from
    // another bridge those of tasks that are on both networks.
    ...serviceRanges(networks).map(
      ({ protocol, range }) =>
        `iifname @bridges oifname @bridges ct status dnat ct original ${protocol} daddr ${range} accept`,
    ),
    // Published UDP ports, which we translate ourselves (addresses/spread.ts), and their answers.
    "oifname @bridges meta l4proto udp ct status dnat ct direction original accept",
    "iifname @internal_bridges meta l4proto udp ct status dnat ct direction reply accept",
    // A network that cannot be left, also not by answers to what came in around our own checks.
    "iifname @internal_bridges drop",
    "oifname @internal_bridges drop",
    // From one network to another, or from outside by a route to the container: only answers.
    "oifname @bridges ct state established,related accept",
    "oifname @bridges drop",
  ];
}

/** A packet of a network counts only when it comes from a node that takes part in that network. */
function memberRules(input: FirewallInput): string[] {
  if (input.underlay === undefined || spanningNetworks(input).length === 0) return [];
  const { port } = input.underlay;
  return [`udp dport ${port} ip saddr . ${OVERLAY_ID} != @overlay_members drop`];
}

/**
 * What passes through the host to where another node takes packets of networks would get the host's own address
 * on its way, and be believed. Containers from before their network spanned hosts believe that larger packets
 * fit: TCP is told otherwise as it connects.
 */
function overlayRules(input: FirewallInput): string[] {
  const networks = spanningNetworks(input);
  if (networks.length === 0) return [];
  const bySize = Map.groupBy(networks, ({ overlay }) => overlay.mtu);
  return [
    "ip daddr . udp dport @overlay_doors ip saddr != @overlay_nodes drop",
    ...[...bySize].map(([mtu, of]) => {
      const bridges = of.map(({ bridge }) => quoted(bridge)).sort();
      const most = mtu - TCP_HEADERS_BYTES;
      return `oifname { ${bridges.join(", ")} } tcp flags syn tcp option maxseg size set ${most}`;
    }),
  ];
}

/** Each range of service addresses once, by protocol. */
function serviceRanges(networks: readonly NetworkModel[]) {
  const ranges = new Map<string, { readonly protocol: "ip" | "ip6"; readonly range: string }>();
  for (const { serviceRange, serviceRange6 } of networks) {
    if (serviceRange !== undefined) {
      ranges.set(serviceRange, { protocol: "ip", range: serviceRange });
    }
    if (serviceRange6 !== undefined) {
      ranges.set(serviceRange6, { protocol: "ip6", range: serviceRange6 });
    }
  }
  return [...ranges.values()].sort((a, b) => (a.range < b.range ? -1 : 1));
}

/**
 * From the host to containers. While `net` is being started nobody listens for names: a container that is told
 * so gives up at once, one that hears nothing asks again after a second (its resolv.conf says so), and is
 * answered. In the refusal the question's header lies behind the 8 bytes of ICMP: its protocol is UDP, its
 * port that of names.
 */
function outputRules(dnsPort: number): string[] {
  const refusal = "icmp type destination-unreachable icmp code port-unreachable";
  return [`oifname @bridges ${refusal} @th,136,8 17 @th,240,16 ${dnsPort} drop`];
}

/** A source address outside the network's own would let a container pass for another in DNS. */
function antiSpoofing(networks: readonly NetworkModel[]): string[] {
  if (networks.length === 0) return [];
  const allowed = networks.map((network) => `${quoted(network.bridge)} . ${network.subnet}`);
  const allowed6 = networks.flatMap(({ bridge, subnet6 }) =>
    subnet6 === undefined ? [] : [`${quoted(bridge)} . ${subnet6}`],
  );
  const from6 = `iifname @bridges ip6 saddr != ${NEIGHBOUR_SOURCES}`;
  return [
    `iifname @bridges meta nfproto ipv4 iifname . ip saddr != { ${allowed.join(", ")} } drop`,
    allowed6.length === 0
      ? `${from6} drop`
      : `${from6} iifname . ip6 saddr != { ${allowed6.join(", ")} } drop`,
  ];
}

function metadataRules({ metadataAccess }: HostPolicyModel): string[] {
  if (metadataAccess) return [];
  return [
    `iifname @bridges ip daddr ${METADATA_ADDRESS} drop`,
    `iifname @bridges ip6 daddr ${METADATA_ADDRESS6} drop`,
  ];
}

/** Packets to the host itself: to the chain of the network that they come from. */
function inputRules(networks: readonly NetworkModel[], input: FirewallInput): string[] {
  if (networks.length === 0) return [];
  const jumps = networks.map((network) => `${quoted(network.bridge)} : jump ${hostChain(network)}`);
  const metadata = metadataRules(input.hostPolicy);
  // A process of the host may ask a copy by a UDP port of 127.0.0.1: only answers come that way.
  const loopback =
    "iifname @bridges ip daddr 127.0.0.0/8 ct state != { established, related } drop";
  return [...antiSpoofing(networks), ...metadata, loopback, `iifname vmap { ${jumps.join(", ")} }`];
}

/** From containers of one network to the host: DNS, answers, and what was asked for. */
function hostRules(network: NetworkModel, input: FirewallInput): string[] {
  const open = network.internal
    ? []
    : [
        "tcp dport @published_anywhere accept",
        "ip daddr . tcp dport @published accept",
        ...input.hostPolicy.openPorts.map((port) => `${port.protocol} dport ${port.port} accept`),
      ];
  return [
    "ct state established,related accept",
    `ip daddr ${network.gateway} udp dport ${input.dnsPort} accept`,
    `ip daddr ${network.gateway} tcp dport ${input.dnsPort} accept`,
    ...(network.gateway6 === undefined
      ? []
      : [
          `ip6 daddr ${network.gateway6} udp dport ${input.dnsPort} accept`,
          `ip6 daddr ${network.gateway6} tcp dport ${input.dnsPort} accept`,
        ]),
    // Without neighbour discovery a container with IPv6 waits for seconds before it uses IPv4.
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept",
    ...open,
    "drop",
  ];
}
