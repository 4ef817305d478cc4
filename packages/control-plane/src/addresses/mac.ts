/**
 * The MAC address of a task: a function of its IPv4 address, so that no neighbour has to be asked.
 *
 * The function is the bridge driver's own (`02:42` and the address): engines before API 1.44 take a MAC for a
 * container's first network only and make those of the others in this way.
 */

import { present } from "@berth/base";
import { parseAddress } from "./subnet.ts";

/** `10.64.3.7` → `02:42:0a:40:03:07`; locally administered, unique in the cluster as the address is. */
export function macOfAddress(address: string): string {
  const number = present(parseAddress(address), "an IPv4 address");
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256);
  return ["02", "42", ...bytes.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}
