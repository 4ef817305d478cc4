/**
 * `cheapest`: what the ask adds to the bill. A host that carries tasks is paid for already; among those, and
 * among empty ones, the lower price wins, then the tighter fit, which keeps other hosts empty.
 */

import type { Subject } from "../filter.ts";
import type { Points } from "../score.ts";
import { usedShare } from "./used-share.ts";

/** Points for a host in use, for its price, for its fit: each decides only where the former are alike. */
export const PART = { inUse: 50, price: 35, fit: 15 } as const;

export function cheapestFit(subject: Subject): Points {
  const { cluster } = subject;
  const used = usedShare(subject);
  const priceOf = (costPerHourMillis: number | undefined) => costPerHourMillis ?? 0;
  let highest = 0;
  for (const { model } of cluster.nodes)
    highest = Math.max(highest, priceOf(model.costPerHourMillis));
  return (node) => {
    const inUse = node.held.length > 0 ? PART.inUse : 0;
    const price = highest === 0 ? 0 : priceOf(node.model.costPerHourMillis) / highest;
    return Math.round(inUse + PART.price * (1 - price) + PART.fit * used(node));
  };
}
