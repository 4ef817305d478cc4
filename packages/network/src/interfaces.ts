/**
 * Network interfaces of this process's own network, by name. From `/proc/self/net`: `/sys/class/net` may be
 * another network's.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

const DEVICES = "/proc/self/net/dev";
/** A folder for each, in the network of whoever looks. */
const SETTINGS = "/proc/sys/net/ipv4/conf";
/** The kernel's list with an index for each interface that is up. */
const GROUPS = "/proc/self/net/igmp";
/** Interface names have 15 characters at most. Tools that leave engines' interfaces alone know `veth`. */
const PORT_DIGITS = 10;

export function interfaceNames(): ReadonlySet<string> {
  const lines = readFileSync(DEVICES, "utf8").split("\n");
  return new Set(
    lines.filter((line) => line.includes(":")).map((line) => line.split(":", 1)[0]?.trim() ?? ""),
  );
}

/** Cheaper than the list of all: with a hundred containers that is read for half a millisecond. */
export function hasInterface(name: string): boolean {
  return existsSync(`${SETTINGS}/${name}`);
}

/** Tells interfaces from later ones of the same names; nothing when one of `names` is not up. */
export function interfaceIdentity(names: readonly string[]): string | undefined {
  const lines = readFileSync(GROUPS, "utf8").matchAll(/^(\d+)\s+(\S+)\s*:/gm);
  const indexes = new Map([...lines].map(([, index, name]) => [name, index]));
  if (!names.every((name) => indexes.has(name))) return undefined;
  return names.map((name) => `${name} ${indexes.get(name)}`).join(",");
}

/** Name of the port in `bridge` through which its network reaches other nodes. */
export function overlayPortName(bridge: string): string {
  const digest = createHash("sha256").update(bridge).digest("hex");
  return `vxlan${digest.slice(0, PORT_DIGITS)}`;
}

/**
 * Name of the port in `bridge` of the holder of `address`, where the agent made it: with all that our bridges'
 * ports need. Ports that an engine makes have other names.
 */
export function madePortName(bridge: string, address: string): string {
  const digest = createHash("sha256").update(`${bridge} ${address}`).digest("hex");
  return `veth${digest.slice(0, PORT_DIGITS)}`;
}
