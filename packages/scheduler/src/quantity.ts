/** Quantities as the messages of the scheduler write them. */

import { assertNever, formatBytes } from "@berth/base";
import type { Unit } from "./plan.ts";

/** `1500000000 bytes` → `1.4 GiB`; thousandths and counts as plain numbers. */
export function formatQuantity(value: number, unit: Unit | undefined): string {
  switch (unit) {
    case "bytes":
      return formatBytes(value);
    case "millis":
      return String(value / 1000);
    case "count":
    case undefined:
      return String(value);
    default:
      return assertNever(unit, "unit");
  }
}

/** `most free is 1.4 GiB`, or `none is free`. */
export function formatMostFree(best: number | undefined, unit: Unit | undefined): string {
  return best === undefined || best === 0
    ? "none is free"
    : `most free is ${formatQuantity(best, unit)}`;
}
