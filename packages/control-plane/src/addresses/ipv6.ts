/**
 * IPv6 ranges and addresses of networks, as functions of what is known anyway, so that nothing more has to
 * be claimed: each network has a /48 of its own below fd00::/8, made from the cluster's and its identifier
 * (as unique as RFC 4193 wants it); its first /64 is for copies, the second for services. An address is the
 * range with the IPv4 address as its last 32 bits. Pure.
 */

import { createHash } from "node:crypto";
import { assert, present } from "@berth/base";
import { parseAddress } from "./subnet.ts";

export interface Ranges6 {
  readonly subnet6: string;
  readonly serviceRange6: string;
}

/** The IPv4 address takes the last 32 bits: a narrower range has no room for it. */
const PREFIX_MAX = 96;
const PREFIX_MIN = 16;

/** The ranges of a network that states none. */
export function rangesOfNetwork(cluster: string, networkId: string): Ranges6 {
  const digits = createHash("sha256").update(`${cluster} ${networkId}`).digest("hex").slice(0, 10);
  const prefix = `fd${digits.slice(0, 2)}:${digits.slice(2, 6)}:${digits.slice(6, 10)}`;
  return { subnet6: `${prefix}::/64`, serviceRange6: `${prefix}:1::/64` };
}

/** `fd00::/64` and `10.1.0.11` → `fd00::a01:b`; in the form that the kernel prints. */
export function embedAddress(range6: string, address: string): string {
  const range = present(parseRange6(range6), "an IPv6 range of a network");
  const number = present(parseAddress(address), "an IPv4 address");
  return formatAddress6(range.base + BigInt(number));
}

/** The bridge's own address: the first of the range. */
export function gatewayOf6(range6: string): string {
  return formatAddress6(present(parseRange6(range6), "an IPv6 range of a network").base + 1n);
}

export interface Range6 {
  readonly base: bigint;
  readonly prefix: number;
}

/** `undefined` when it is no range that a network can have, or has bits below its prefix. */
export function parseRange6(text: string): Range6 | undefined {
  const [addressText = "", prefixText = "", ...rest] = text.split("/");
  const base = parseAddress6(addressText);
  const prefix = /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (base === undefined || rest.length > 0) return undefined;
  if (!(prefix >= PREFIX_MIN && prefix <= PREFIX_MAX)) return undefined;
  return base % size(prefix) === 0n ? { base, prefix } : undefined;
}

export function ranges6Overlap(a: Range6, b: Range6): boolean {
  const [wide, narrow] = a.prefix <= b.prefix ? [a, b] : [b, a];
  return narrow.base >= wide.base && narrow.base < wide.base + size(wide.prefix);
}

function size(prefix: number): bigint {
  return 1n << BigInt(128 - prefix);
}

const GROUP = /^[0-9a-f]{1,4}$/i;

/** Without a zone and without a dotted tail: nobody writes ranges so. */
export function parseAddress6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<string>(Math.max(0, missing)).fill("0"), ...(tail ?? [])];
  if (!groups.every((group) => GROUP.test(group))) return undefined;
  return groups.reduce((sum, group) => sum * 0x10000n + BigInt(`0x${group}`), 0n);
}

/** RFC 5952: lower case, the longest run of zeros as `::`. */
export function formatAddress6(address: bigint): string {
  assert(address >= 0n && address < 1n << 128n, "an IPv6 address has 128 bits");
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((address >> BigInt(16 * (7 - index))) & 0xffffn),
  );
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (best.length < 2) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}
