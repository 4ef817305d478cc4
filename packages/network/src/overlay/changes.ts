/**
 * What has to be done so that the kernel has what is wanted: commands for `ip` and `bridge` in three batches,
 * in this order. An interface comes up last, when nothing can be flooded through it any more. Pure.
 */

import { overlayMark, PORT_SETTINGS, type SeenOverlays } from "./seen.ts";
import type { OverlayLink, OverlayState } from "./wanted.ts";

export interface OverlayCommands {
  /** `ip`: interfaces and addresses of bridges. */
  readonly links: readonly string[];
  /** `bridge`: settings and forwarding. */
  readonly forwarding: readonly string[];
  /** `ip`: neighbours, and interfaces that come up. */
  readonly last: readonly string[];
  /** Bridges that get another MAC address: who knows the old one has to be told. */
  readonly renamed: ReadonlySet<string>;
}

export function overlayCommands(
  clusterId: string,
  seen: SeenOverlays,
  wanted: OverlayState,
): OverlayCommands {
  const links: string[] = [];
  const forwarding: string[] = [];
  const last: string[] = [];
  const renamed = new Set<string>();
  /** Interfaces that are there and stay: what they have is known. */
  const kept = new Set<string>();
  for (const [name, link] of seen.links) {
    if (isSameInterface(link, wanted.links.get(name))) kept.add(name);
    else links.push(`link del dev ${name}`);
  }
  for (const [name, link] of wanted.links) {
    const { bridge, id, port, local, mtu, mac } = link;
    const known = kept.has(name) ? seen.links.get(name) : undefined;
    if (known === undefined) {
      const kind = `type vxlan id ${id} dstport ${port} local ${local} nolearning`;
      links.push(`link add name ${name} mtu ${mtu} ${kind}`);
      links.push(`link set dev ${name} alias ${overlayMark(clusterId)}`);
    }
    if (seen.macs.get(bridge) !== mac) {
      links.push(`link set dev ${bridge} address ${mac}`);
      renamed.add(bridge);
    }
    if (known?.mtu !== mtu && known !== undefined) links.push(`link set dev ${name} mtu ${mtu}`);
    if (known?.bridge !== bridge) links.push(`link set dev ${name} master ${bridge}`);
    if (known !== undefined && known.bridge === bridge && seen.orderly.has(name)) continue;
    forwarding.push(`link set dev ${name} ${settings()}`);
    last.push(`link set dev ${name} up`);
  }
  for (const each of seen.addresses) {
    const [bridge, address] = each.split(" ");
    if (!wanted.addresses.has(each)) links.push(`addr del ${address}/32 dev ${bridge}`);
  }
  for (const each of wanted.addresses) {
    const [bridge, address] = each.split(" ");
    if (!seen.addresses.has(each)) links.push(`addr replace ${address}/32 dev ${bridge}`);
  }
  forwarding.push(...forwardCommands(seen, wanted, kept));
  last.unshift(...neighborCommands(seen, wanted, renamed));
  return { links, forwarding, last, renamed };
}

/** What cannot be changed about an interface that is there. */
function isSameInterface(seen: OverlayLink, wanted: OverlayLink | undefined): boolean {
  return (
    wanted !== undefined &&
    seen.id === wanted.id &&
    seen.port === wanted.port &&
    seen.local === wanted.local
  );
}

function settings(): string {
  return PORT_SETTINGS.map(([name, value]) => `${name} ${value ? "on" : "off"}`).join(" ");
}

function forwardCommands(
  seen: SeenOverlays,
  wanted: OverlayState,
  kept: ReadonlySet<string>,
): string[] {
  const commands: string[] = [];
  const has = (key: string) => kept.has(key.slice(0, key.indexOf(" ")));
  for (const key of seen.forwards.keys()) {
    if (has(key) && !wanted.forwards.has(key)) commands.push(`fdb del ${macAt(key)} self`);
  }
  for (const key of seen.behind) {
    if (has(key) && !wanted.forwards.has(key)) commands.push(`fdb del ${macAt(key)} master`);
  }
  for (const [key, door] of wanted.forwards) {
    const [address, port] = door.split(" ");
    if (!has(key) || seen.forwards.get(key) !== door) {
      commands.push(`fdb replace ${macAt(key)} self static dst ${address} port ${port}`);
    }
    if (!has(key) || !seen.behind.has(key)) {
      commands.push(`fdb replace ${macAt(key)} master static`);
    }
  }
  return commands;
}

/** `interface mac` as the command wants it. */
function macAt(key: string): string {
  const [name, mac] = key.split(" ");
  return `${mac} dev ${name}`;
}

/** With its MAC address a bridge loses all neighbours. */
function neighborCommands(
  seen: SeenOverlays,
  wanted: OverlayState,
  renamed: ReadonlySet<string>,
): string[] {
  const commands: string[] = [];
  for (const [key, mac] of wanted.neighbors) {
    const [bridge, address] = key.split(" ");
    if (seen.neighbors.get(key) === mac && !renamed.has(bridge ?? "")) continue;
    commands.push(`neigh replace ${address} lladdr ${mac} dev ${bridge} nud permanent`);
  }
  for (const key of seen.neighbors.keys()) {
    const [bridge, address] = key.split(" ");
    if (!wanted.neighbors.has(key) && !renamed.has(bridge ?? ""))
      commands.push(`neigh del ${address} dev ${bridge}`);
  }
  return commands;
}
