/** What the kernel has of our ways to other nodes, from the listings of `ip` and `bridge`. Pure. */

import { type Row, rowAt, rowsAt, wordAt } from "../link-tool.ts";
import type { OverlayLink, OverlayState } from "./wanted.ts";

/** The listings, each as its program gives it. */
export interface OverlayListings {
  /** `ip -d link show type vxlan` */
  readonly links: readonly Row[];
  /** `bridge fdb show` */
  readonly forwards: readonly Row[];
  /** `ip neigh show nud permanent` */
  readonly neighbors: readonly Row[];
  /** `ip addr show type bridge` */
  readonly bridges: readonly Row[];
}

/** As `OverlayState`; a link is listed only when it is one of ours. */
export interface SeenOverlays extends OverlayState {
  /** Of `links`, those whose settings as a port of their bridge are as they must be. */
  readonly orderly: ReadonlySet<string>;
  /** MAC addresses of bridges. */
  readonly macs: ReadonlyMap<string, string>;
  /** `interface mac`: what the bridge knows to be behind the interface. */
  readonly behind: ReadonlySet<string>;
}

/** Marks interfaces of this cluster, so that those of networks that are gone are found. */
export function overlayMark(clusterId: string): string {
  return `berth-overlay-${clusterId}`;
}

/** Settings of the port that a VXLAN interface is in its bridge: `bridge link set` and the listing's words. */
export const PORT_SETTINGS: readonly (readonly [string, boolean])[] = [
  ["learning", false],
  ["flood", false],
  ["mcast_flood", false],
  ["bcast_flood", false],
  ["neigh_suppress", true],
  ["hairpin", false],
];

/** Of all that is listed only what is in one of `bridges`, or bears the mark, is ours. */
export function seenOverlays(
  listings: OverlayListings,
  { clusterId, bridges }: { readonly clusterId: string; readonly bridges: ReadonlySet<string> },
): SeenOverlays {
  const macs = new Map(
    listings.bridges.map((row) => [wordAt(row, "ifname"), wordAt(row, "address").toLowerCase()]),
  );
  const links = new Map<string, OverlayLink>();
  const orderly = new Set<string>();
  for (const row of listings.links) {
    if (wordAt(row, "ifalias") !== overlayMark(clusterId)) continue;
    const name = wordAt(row, "ifname");
    links.set(name, linkOf(row, macs));
    if (isOrderly(row)) orderly.add(name);
  }
  const ports = new Map([...links].map(([name, { port }]) => [name, port]));
  return {
    links,
    orderly,
    macs,
    ...forwardsOf(listings, ports),
    ...addressesOf(listings, bridges),
  };
}

function linkOf(row: Row, macs: ReadonlyMap<string, string>): OverlayLink {
  const data = rowAt(rowAt(row, "linkinfo"), "info_data");
  const bridge = wordAt(row, "master");
  return {
    bridge,
    id: Number(wordAt(data, "id")),
    port: Number(wordAt(data, "port")),
    local: wordAt(data, "local"),
    mtu: Number(wordAt(row, "mtu")),
    mac: macs.get(bridge) ?? "",
  };
}

function isOrderly(row: Row): boolean {
  const info = rowAt(row, "linkinfo");
  const port = rowAt(info, "info_slave_data");
  const flags = row["flags"];
  return (
    Array.isArray(flags) &&
    flags.includes("UP") &&
    rowAt(info, "info_data")["learning"] !== true &&
    PORT_SETTINGS.every(([name, value]) => port[name] === value)
  );
}

/** The kernel leaves out a port that is the interface's own. */
function forwardsOf(
  listings: OverlayListings,
  ports: ReadonlyMap<string, number>,
): Pick<SeenOverlays, "forwards" | "behind"> {
  const forwards = new Map<string, string>();
  const behind = new Set<string>();
  for (const row of listings.forwards) {
    const name = wordAt(row, "ifname");
    const port = ports.get(name);
    if (port === undefined || row["state"] === "permanent") continue;
    const key = `${name} ${wordAt(row, "mac").toLowerCase()}`;
    const node = wordAt(row, "dst");
    if (node === "") behind.add(key);
    else forwards.set(key, `${node} ${wordAt(row, "port") || port}`);
  }
  return { forwards, behind };
}

/** Nobody but us gives our bridges permanent neighbours, or addresses without a range. */
function addressesOf(
  listings: OverlayListings,
  bridges: ReadonlySet<string>,
): Pick<SeenOverlays, "neighbors" | "addresses"> {
  const neighbors = new Map<string, string>();
  for (const row of listings.neighbors) {
    const bridge = wordAt(row, "dev");
    if (!bridges.has(bridge)) continue;
    neighbors.set(`${bridge} ${wordAt(row, "dst")}`, wordAt(row, "lladdr").toLowerCase());
  }
  const addresses = new Set<string>();
  for (const row of listings.bridges) {
    const bridge = wordAt(row, "ifname");
    if (!bridges.has(bridge)) continue;
    for (const each of rowsAt(row, "addr_info")) {
      if (each["family"] !== "inet" || each["prefixlen"] !== 32) continue;
      addresses.add(`${bridge} ${wordAt(each, "local")}`);
    }
  }
  return { neighbors, addresses };
}
