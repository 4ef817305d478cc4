/**
 * What it costs to leave a device with so much free: the worth of the remainder before, less its worth after,
 * less the worth of what was placed, by the prices of a mix of sizes (`cutting-stock.ts`).
 *
 * A whole device has worth 1 and every cut that the optimum uses costs nothing, so asks are led to
 * devices whose rest they complete, and away from those where something would be left that no usual ask
 * can use. Without a mix everything costs nothing, and the tightest device wins.
 */

import { WHOLE_MILLIS } from "../resources.ts";
import { pricesOf, type SizeDemand, worthByRemainder } from "./cutting-stock.ts";

/** Costs, by free thousandths of the device, of taking a share of it. In thousandths of a device. */
export type Regret = (freeMillis: number) => number;

interface KindPrices {
  readonly worth: Float64Array;
}

const FREE: Regret = () => 0;

export class DevicePrices {
  readonly #byKind: ReadonlyMap<string, KindPrices>;

  /** Demand by kind: how many devices' worth of each share are asked for. */
  constructor(mix: ReadonlyMap<string, readonly SizeDemand[]>) {
    this.#byKind = new Map(
      [...mix].map(([kind, sizes]) => [kind, { worth: worthByRemainder(sizes, pricesOf(sizes)) }]),
    );
  }

  /** Never negative; 0 for a kind of which no mix is known. */
  regretOf(kind: string, shareMillis: number): Regret {
    const prices = this.#byKind.get(kind);
    if (prices === undefined) return FREE;
    const { worth } = prices;
    const own = worth[shareMillis] ?? 0;
    return (freeMillis) => {
      const before = worth[Math.min(WHOLE_MILLIS, freeMillis)] ?? 0;
      const after = worth[Math.max(0, freeMillis - shareMillis)] ?? 0;
      return Math.round(Math.max(0, before - after - own) * WHOLE_MILLIS);
    };
  }
}
