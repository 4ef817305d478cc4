/** IPv4 addresses and ranges as unsigned 32-bit numbers: what membership and overlap are computed on. */

export interface Ipv4Range {
  /** First address, as a number. */
  readonly base: number;
  /** Prefix length, 0 to 32. */
  readonly bits: number;
}

const OCTETS = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** `10.0.0.1` as a number; `undefined` when it is none. Leading zeros are refused (octal elsewhere). */
export function parseIpv4(text: string): number | undefined {
  const match = OCTETS.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (const octet of match.slice(1)) {
    if (Number(octet) > 255 || (octet.length > 1 && octet.startsWith("0"))) return undefined;
    value = value * 256 + Number(octet);
  }
  return value;
}

export function formatIpv4(value: number): string {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join(".");
}

/** `10.0.0.0/24`; `undefined` when it is none or has bits set below its prefix. */
export function parseIpv4Range(text: string): Ipv4Range | undefined {
  const slash = text.indexOf("/");
  const base = parseIpv4(text.slice(0, slash));
  const bitsText = text.slice(slash + 1);
  if (slash < 0 || base === undefined || !/^\d{1,2}$/.test(bitsText)) return undefined;
  const bits = Number(bitsText);
  if (bits > 32 || base % 2 ** (32 - bits) !== 0) return undefined;
  return { base, bits };
}

export function ipv4InRange(address: number, range: Ipv4Range): boolean {
  return address >= range.base && address < range.base + 2 ** (32 - range.bits);
}

export function ipv4RangesOverlap(a: Ipv4Range, b: Ipv4Range): boolean {
  return ipv4InRange(a.base, b) || ipv4InRange(b.base, a);
}
