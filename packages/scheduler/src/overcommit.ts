/**
 * How far may more be promised than there is, and what speaks for it?
 *
 * Four amounts of a resource are told apart: what is *reserved* for system, engine and agent (`NodeModel.reserved`, never
 * given away), what a task *requests*, what its *limit* is, and what it was *measured* to use. Requests decide, unless
 * an ask allows more (`Ask.overcommit`): then the requests on the node may come to so many hundredths of what the
 * node can give, and what its tasks keep (measured use with a margin, at most their limit; the whole request where
 * nothing was measured) must leave room for all that the ask requests. So a class of service that allows nothing
 * never counts on what others leave unused.
 */

import type { Claims } from "./model.ts";
import type { Need, Needs } from "./resources.ts";

/** Resources that are measured. */
export const MEASURED_RESOURCES = ["cpu", "memory"] as const;
export type MeasuredResource = (typeof MEASURED_RESOURCES)[number];

/** Hundredths of what a node can give to which requests may come, by resource; 100 where absent. */
export type Overcommit = Readonly<Partial<Record<MeasuredResource, number>>>;

/** What a task was measured to use at the most, over a while that its meter knows. */
export interface MeasuredUse {
  readonly cpuMillis?: number;
  readonly memoryBytes?: number;
  /** Hundredths that are kept beyond it; `MARGIN_PERCENT` when absent. */
  readonly marginPercent?: number;
}

/** The highest peak of tomorrow is rarely a fifth above that of today; Autopilot keeps 10 to 15 % (EuroSys'20). */
export const MARGIN_PERCENT = 20;
/** Ten promises for one: beyond it the requests say nothing any more. */
export const OVERCOMMIT_PERCENT_MAX = 1_000;

/** By how much each resource that a task keeps is below its request (above it: negative); `undefined` for not at all. */
export function sparedBy(claims: Claims, { resources }: Needs): readonly Need[] | undefined {
  const { measured, limits } = claims;
  if (measured === undefined) return undefined;
  const factor = 100 + (measured.marginPercent ?? MARGIN_PERCENT);
  const spared = MEASURED_RESOURCES.flatMap((name): Need[] => {
    const field = name === "cpu" ? "cpuMillis" : "memoryBytes";
    const use = measured[field];
    if (use === undefined) return [];
    const kept = Math.min(limits?.[field] ?? Infinity, Math.ceil((use * factor) / 100));
    const request = resources.find((need) => need.name === name)?.amount ?? 0;
    return kept === request ? [] : [{ name, amount: request - kept }];
  });
  return spared.length === 0 ? undefined : spared;
}

/** To how many hundredths of `total` the requests may come for the ask of that resource. */
export function percentOf(overcommit: Overcommit | undefined, name: string): number {
  const percent = name === "cpu" || name === "memory" ? overcommit?.[name] : undefined;
  return Math.max(100, percent ?? 100);
}

/** The strictest of several: what all of them allow. */
export function strictest(all: readonly (Overcommit | undefined)[]): Overcommit {
  const least = (name: MeasuredResource) => Math.min(...all.map((each) => percentOf(each, name)));
  return { cpu: least("cpu"), memory: least("memory") };
}
