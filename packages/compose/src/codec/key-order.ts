/**
 * The order of keys in tables: by bytes in JSON, naturally in YAML, as the reference's two encoders have it.
 */

import { compareBytes } from "../text/go-number.ts";
import { compareNatural } from "../text/natural-order.ts";
import type { PrintFormat } from "./codec.ts";

/** A comparator of entries for `format`. */
export function keyOrder(
  format: PrintFormat,
): (left: readonly [string, unknown], right: readonly [string, unknown]) => number {
  const compare = format === "json" ? compareBytes : compareNatural;
  return ([left], [right]) => compare(left, right);
}
