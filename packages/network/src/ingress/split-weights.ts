/** How requests are split between services, as weights of their copies. Pure. */

/** HAProxy's largest weight. */
const WEIGHT_MAX = 256;

/**
 * A weight for each share's copies, so that all ready copies of a share together get its percentage; 0 for a
 * share of nothing. Relative: a share without a ready copy leaves its part to the others.
 */
export function splitWeights(
  shares: readonly {
    readonly percent: number;
    readonly copies: readonly { readonly state: "ready" | "draining" }[];
  }[],
): number[] {
  const perCopy = shares.map(({ percent, copies }) => {
    const ready = copies.filter(({ state }) => state === "ready").length;
    return percent / Math.max(1, ready);
  });
  const largest = Math.max(...perCopy);
  return perCopy.map((value) =>
    value === 0 || largest === 0 ? 0 : Math.max(1, Math.round((WEIGHT_MAX * value) / largest)),
  );
}
