/**
 * Where addresses of services are from: a range of its own, so that no network's address is ever mistaken
 * for a service's. Pure.
 */

import { assert } from "@berth/base";
import type { ControlPlaneSettings } from "../settings.ts";
import { formatSubnet, parsePart, parseSubnet, type Subnet, sizeOf } from "./subnet.ts";

type RangeSettings = Pick<ControlPlaneSettings, "clusterRange" | "serviceRange">;

/** A sixteenth: one service address for every fifteen addresses of copies. */
const SHARE_BITS = 4;

/** The configured range, or the last sixteenth of the cluster's. */
export function serviceRangeOf({ clusterRange, serviceRange }: RangeSettings): Subnet | undefined {
  if (serviceRange !== undefined) return parsePart(serviceRange);
  const cluster = parseSubnet(clusterRange);
  if (cluster === undefined) return undefined;
  const prefix = cluster.prefix + SHARE_BITS;
  const size = sizeOf(prefix);
  assert(size >= 1, "a range for networks has sixteen addresses");
  return { base: cluster.base + sizeOf(cluster.prefix) - size, prefix };
}

/** `10.79.0.0/16`; for people and for networks, which keep it. */
export function serviceRangeText(settings: RangeSettings): string | undefined {
  const range = serviceRangeOf(settings);
  return range && formatSubnet(range);
}
