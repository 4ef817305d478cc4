/**
 * How to decide: seed, strategy, default requests and the weights of the scores.
 *
 * One point of weight times one point of score is the unit of comparison. The fit of a node spans 100
 * points, so the default weights say: a copy more or less on a node outweighs the fit (except for
 * `tightest`, whose purpose is the fewest hosts), a failure here outweighs a copy, and the last node of a
 * slot and the image that is present only decide between nodes that are otherwise much alike.
 */

import { MIB } from "@berth/base";
import type { Ask, Requests, Strategy } from "./model.ts";

/** One score a file in `scores/`; `fit` is the strategy's own. */
export const SCORES = [
  "fit",
  "spread",
  "affinity",
  "images",
  "stability",
  "taints",
  "failures",
] as const;
export type ScoreName = (typeof SCORES)[number];
export type Weights = Readonly<Record<ScoreName, number>>;

export interface ScheduleOptions {
  /** Any integer. Orders nodes that score alike; same seed, same plan. */
  readonly seed: number;
  readonly strategy: Strategy;
  /** What an ask or a task does not state is taken from here; what is absent here too counts as 0. */
  readonly defaults: Requests;
  /** Overrides single weights (0 switches a score off). */
  readonly weights?: Partial<Weights>;
  /** May asks without a place displace tasks of strictly lower priority? They may not when this is absent. */
  readonly preemption?: Preemption;
}

/** How far preemption may go. */
export interface Preemption {
  /**
   * By service: how many of its tasks may be displaced while the transaction lives, 0 or more; without limit for a
   * service that is not listed. What is undone does not count.
   */
  readonly limits?: Readonly<Record<string, number>>;
}

/**
 * Request of a container whose file states none: of 2,694 published services 14 state a memory limit, so
 * this decides how many containers a host takes. 0.1 processor and 128 MiB is what small services use.
 */
export const DEFAULT_REQUESTS: Requests = { cpuMillis: 100, memoryBytes: 128 * MIB };

const DEFAULT_WEIGHTS: Weights = {
  fit: 10,
  spread: 10,
  affinity: 20,
  images: 3,
  stability: 5,
  taints: 15,
  failures: 30,
};

/** Beyond this a score decides alone, whatever the others say. */
export const WEIGHT_MAX = 100;

/** Weights of a strategy, before anybody tunes them. */
export function weightsOf(strategy: Strategy): Weights {
  const spread = strategy === "tightest" ? 3 : DEFAULT_WEIGHTS.spread;
  return { ...DEFAULT_WEIGHTS, spread };
}

/** Weights in force for one ask: its strategy's, overridden by the options', overridden by its own. */
export function weightsFor(
  ask: Pick<Ask, "strategy" | "weights">,
  { strategy, weights }: Pick<ScheduleOptions, "strategy" | "weights">,
): Weights {
  return { ...weightsOf(ask.strategy ?? strategy), ...weights, ...ask.weights };
}
