/**
 * IPv4 ranges as numbers: parsing, overlap, carving the next free range, and the addresses of a range.
 *
 * The first address of a network is its gateway (where DNS answers); network and broadcast addresses are
 * given to nobody. Addresses are unsigned 32-bit integers inside this folder and text outside.
 */

import { assert } from "@berth/base";

export interface Subnet {
  /** First address, host bits zero. */
  readonly base: number;
  readonly prefix: number;
}

/** Wider ranges are no networks of containers; narrower ones have no room for gateway and copies. */
const PREFIX_MIN = 8;
const PREFIX_MAX = 29;

const ADDRESS = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** `10.0.0.1` → number; `undefined` when it is no IPv4 address. */
export function parseAddress(text: string): number | undefined {
  const match = ADDRESS.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1).map(Number);
  if (parts.some((part) => part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** `10.9.0.0/24`; host bits must be zero. `undefined` when it is no range that a network can have. */
export function parseSubnet(text: string): Subnet | undefined {
  const [addressText = "", prefixText = ""] = text.split("/");
  const base = parseAddress(addressText);
  const prefix = /^\d{1,2}$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (base === undefined || !(prefix >= PREFIX_MIN && prefix <= PREFIX_MAX)) return undefined;
  return base % sizeOf(prefix) === 0 ? { base, prefix } : undefined;
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefix}`;
}

/** Addresses of a range, the two that nobody gets included. */
export function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix);
}

export function subnetsOverlap(a: Subnet, b: Subnet): boolean {
  const [wide, narrow] = a.prefix <= b.prefix ? [a, b] : [b, a];
  return Math.floor(narrow.base / sizeOf(wide.prefix)) * sizeOf(wide.prefix) === wide.base;
}

/** The bridge's own address, where DNS answers. */
export function gatewayOf(subnet: Subnet): number {
  return subnet.base + 1;
}

/**
 * Whether a task can have `address` in `subnet`: not the network's own, not its broadcast, not the gateway's
 * (its first, unless another is given).
 */
export function containsAddress(subnet: Subnet, address: string, gateway?: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  const taken = gateway === undefined ? gatewayOf(subnet) : parseAddress(gateway);
  return parsed !== taken && isHostAddress(subnet, parsed);
}

/** Neither the network's own address nor its broadcast. */
export function isHostAddress(subnet: Subnet, address: number): boolean {
  return address > subnet.base && address < subnet.base + sizeOf(subnet.prefix) - 1;
}

/** `10.9.0.128/25` inside a subnet: any prefix up to a single address. */
export function parsePart(text: string): Subnet | undefined {
  const [addressText = "", prefixText = ""] = text.split("/");
  const base = parseAddress(addressText);
  const prefix = /^\d{1,2}$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (base === undefined || !(prefix >= PREFIX_MIN && prefix <= 32)) return undefined;
  return base % sizeOf(prefix) === 0 ? { base, prefix } : undefined;
}

/**
 * The first free aligned range of `prefix` inside `range` at or after `from`, else the first one before it.
 * O(taken × log taken).
 */
export function carve(
  range: Subnet,
  prefix: number,
  taken: readonly Subnet[],
  from = range.base,
): Subnet | undefined {
  assert(prefix >= range.prefix && prefix <= PREFIX_MAX, "a network fits into the cluster's range");
  const sorted = [...taken].sort((a, b) => a.base - b.base);
  const isInside = from > range.base && from < range.base + sizeOf(range.prefix);
  const late = isInside ? carveFrom(range, prefix, sorted, from) : undefined;
  return late ?? carveFrom(range, prefix, sorted, range.base);
}

function carveFrom(
  range: Subnet,
  prefix: number,
  sorted: readonly Subnet[],
  from: number,
): Subnet | undefined {
  const size = sizeOf(prefix);
  const end = range.base + sizeOf(range.prefix);
  let base = Math.ceil(from / size) * size;
  for (const other of sorted) {
    const otherEnd = other.base + sizeOf(other.prefix);
    if (otherEnd <= base) continue;
    if (other.base >= base + size) break;
    base = Math.ceil(otherEnd / size) * size;
  }
  return base + size <= end ? { base, prefix } : undefined;
}

/** Prefix length for a network that may have to hold `addresses` at once, no longer than `prefixMax`. */
export function prefixFor(addresses: number, prefixMax: number): number {
  let prefix = prefixMax;
  while (prefix > PREFIX_MIN && sizeOf(prefix) - 3 < addresses) prefix--;
  return prefix;
}
