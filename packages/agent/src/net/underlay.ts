/**
 * Where other nodes reach this one, for networks that span hosts: an address of the host's, and what its
 * interface carries. Pure parts over what `ip` lists; a setting decides, else the way to the server, else the way
 * to everywhere, else the first address that others can reach.
 */

import { execFile } from "node:child_process";
import { lookup } from "node:dns/promises";
import { isIPv4 } from "node:net";
import { promisify } from "node:util";
import type { Underlay } from "@berth/protocol";
import { listAt, numberAt, parseJson, textAt } from "../runtime/docker-json.ts";

/** The port that IANA gave to VXLAN. */
export const UNDERLAY_PORT_DEFAULT = 4_789;

export interface UnderlaySettings {
  /** An address of this host; found by the routes when absent. */
  readonly address?: string;
  /** UDP port, the same on all nodes or not. */
  readonly port: number;
  /** The server's name or address: the address that reaches it is the default. */
  readonly toward?: string;
}

/** `undefined`: the host has no address that others reach, or not the one that was set. */
export type UnderlayFinder = (
  settings: UnderlaySettings,
  isOwnInterface: (name: string) => boolean,
) => Promise<Underlay | undefined>;

/** An IPv4 address of the host. */
export interface HostAddress {
  readonly interface: string;
  readonly address: string;
  readonly mtu: number;
}

/** Routed from here like everything outside: set aside for documentation, nobody has it. No packet is sent. */
const ANYWHERE = "192.0.2.1";
const PROGRAM_TIMEOUT_MS = 5_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
/** Interfaces of engines: nobody outside reaches what has an address there. */
const INSIDE_PATTERN = /^(lo|docker|br-|veth|vxlan|virbr|cni)/;

/** As the host is now. Two programs. */
export const findUnderlay: UnderlayFinder = async (settings, isOwnInterface) => {
  const addresses = parseAddresses(await ip("-json", "-4", "address", "show"));
  const isOutside = ({ interface: name }: HostAddress) =>
    !INSIDE_PATTERN.test(name) && !isOwnInterface(name);
  const outside = addresses.filter(isOutside);
  const source = settings.address ?? (await sourceToward(settings.toward));
  const candidates = settings.address === undefined ? outside : addresses;
  const found = candidates.find(({ address }) => address === source);
  return underlayAt(found ?? (settings.address === undefined ? outside[0] : undefined), settings);
};

function underlayAt(
  found: HostAddress | undefined,
  { port }: UnderlaySettings,
): Underlay | undefined {
  return found && { address: found.address, port, mtu: found.mtu };
}

/** Addresses of interfaces that are up, in their order. */
export function parseAddresses(text: string): readonly HostAddress[] {
  return listAt({ list: parseJson(text) }, "list").flatMap((link) => {
    const name = textAt(link, "ifname") ?? "";
    const mtu = numberAt(link, "mtu");
    if (mtu === undefined || !listAt(link, "flags").includes("UP")) return [];
    return listAt(link, "addr_info").flatMap((info) => {
      const address = textAt(info, "local");
      return address === undefined ? [] : [{ interface: name, address, mtu }];
    });
  });
}

/** The address that packets to `toward` leave with; nothing where no way leads there, or it is this host. */
async function sourceToward(toward = ANYWHERE): Promise<string | undefined> {
  const target = isIPv4(toward) ? toward : await addressOf(toward);
  if (target === undefined) return undefined;
  return parseSource(await ip("-json", "-4", "route", "get", target));
}

/** The source of the route that `ip route get` lists. */
export function parseSource(text: string): string | undefined {
  const [route] = listAt({ list: parseJson(text) }, "list");
  return textAt(route, "dev") === "lo" ? undefined : textAt(route, "prefsrc");
}

async function addressOf(name: string): Promise<string | undefined> {
  try {
    return (await lookup(name, { family: 4 })).address;
  } catch {
    return undefined;
  }
}

/** What `ip` says; nothing where it is not installed or does not know. */
async function ip(...words: readonly string[]): Promise<string> {
  const limits = { timeout: PROGRAM_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX };
  try {
    return (await promisify(execFile)("ip", words, limits)).stdout;
  } catch {
    return "";
  }
}
