/** IPv6 addresses as the 32 hexadecimal digits that all of their spellings have in common. */

import { isIPv6 } from "node:net";

const GROUPS = 8;
const DIGITS = 32;
const BITS_PER_DIGIT = 4;

/** `fd00::1` as 32 digits; `undefined` when it is none. A zone (`%eth0`) is left out. */
export function parseIpv6(text: string): string | undefined {
  const [address = ""] = text.split("%");
  if (!isIPv6(address)) return undefined;
  const [head = "", tail] = withoutDots(address).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = new Array<string>(GROUPS - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after]
    .map((group) => group.toLowerCase().padStart(DIGITS / GROUPS, "0"))
    .join("");
}

/** `::ffff:10.0.0.1` is `::ffff:a00:1`. */
function withoutDots(address: string): string {
  const at = address.lastIndexOf(":") + 1;
  const octets = address.slice(at).split(".").map(Number);
  if (octets.length === 1) return address;
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return `${address.slice(0, at)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/** Whole or part of an address in `ip6.arpa`: `1.0.0...d.f` as its leading digits; `undefined` when it is none. */
export function digitsOfReverse(labels: string): string | undefined {
  return /^[0-9a-f](\.[0-9a-f]){0,31}$/.test(labels)
    ? labels.split(".").reverse().join("")
    : undefined;
}

export function isWhole(digits: string): boolean {
  return digits.length === DIGITS;
}

/** A range by the digits that its addresses begin with, so by whole multiples of four bits. */
export interface Ipv6Range {
  readonly digits: string;
}

/** `fd00:1::/64`; a length between is rounded to the larger range. */
export function parseIpv6Range(text: string): Ipv6Range | undefined {
  const [address = "", bits = ""] = text.split("/");
  const digits = parseIpv6(address);
  if (digits === undefined) return undefined;
  return { digits: digits.slice(0, Math.floor(Number(bits) / BITS_PER_DIGIT)) };
}

export function ipv6InRange(digits: string, range: Ipv6Range): boolean {
  return digits.startsWith(range.digits);
}
