/** The ranges of addresses that a person may choose for a cluster. */

import {
  formatSubnet,
  parsePart,
  type Subnet,
  subnetsOverlap,
} from "@berth/control-plane/addresses/subnet";
import { ProtocolError } from "@berth/protocol";

/** Sixteen networks of the usual /24. */
const CLUSTER_PREFIX_MAX = 20;
/** 14 services; each has an address on every network that it is on. */
const SERVICE_PREFIX_MAX = 28;
const PREFIX_MIN = 8;

/**
 * Checks the range for networks, as `10.64.0.0/12`. Returns it.
 *
 * @throws ProtocolError `invalid_request`.
 */
export function checkClusterRange(text: string): string {
  return check(text, { name: "clusterRange", example: "10.64.0.0/12", max: CLUSTER_PREFIX_MAX });
}

/**
 * Checks the range for addresses of services, as `10.80.0.0/16`. Returns it. It may lie in the range for
 * networks or apart from it.
 *
 * @throws ProtocolError `invalid_request`.
 */
export function checkServiceRange(text: string): string {
  return check(text, { name: "serviceRange", example: "10.80.0.0/16", max: SERVICE_PREFIX_MAX });
}

/** Whether `address`, as `10.64.0.1`, lies in `range`; both were checked. */
export function isInRange(address: string, range: string): boolean {
  const [one, all] = [parsePart(`${address}/32`), parsePart(range)];
  return one !== undefined && all !== undefined && subnetsOverlap(one, all);
}

interface Expected {
  readonly name: string;
  readonly example: string;
  /** The narrowest. */
  readonly max: number;
}

function check(text: string, { name, example, max }: Expected): string {
  const range = parsePart(text);
  const expected = `expected an IPv4 range of /${PREFIX_MIN} to /${max}, as ${example}`;
  if (range !== undefined && range.prefix >= PREFIX_MIN && range.prefix <= max) return text;
  const begin = range === undefined ? startOf(text) : undefined;
  const hint = begin === undefined ? "" : `; ${formatSubnet(begin)} begins where such a range does`;
  throw new ProtocolError("invalid_request", `"${text}" cannot be used: ${expected}${hint}`, {
    name,
  });
}

/** The range that an address with too many bits lies in: `10.64.1.0/12` is in `10.64.0.0/12`. */
function startOf(text: string): Subnet | undefined {
  const [address = "", prefixText = ""] = text.split("/");
  const one = parsePart(`${address}/32`);
  const prefix = /^\d{1,2}$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (one === undefined || !(prefix >= PREFIX_MIN && prefix < 32)) return undefined;
  const size = 2 ** (32 - prefix);
  return { base: Math.floor(one.base / size) * size, prefix };
}
