/**
 * How long to wait before trying again: exponential, capped, spread by chance so that many who failed
 * together do not come back together.
 */

import type { Prng } from "./prng.ts";

export interface BackoffOptions {
  /** Delay before the second attempt, in milliseconds. */
  readonly initialMs: number;
  /** No delay is longer, in milliseconds. */
  readonly maxMs: number;
  /** Each delay is this many times the last; 2 by default. */
  readonly factor?: number;
  /** Share of the delay that chance may take away, 0 to 1; 0.2 by default. */
  readonly jitter?: number;
}

/**
 * Delay in milliseconds before attempt number `attempt` (1 is the first retry). Without `prng` there is
 * no jitter.
 */
export function backoffMs(attempt: number, options: BackoffOptions, prng?: Prng): number {
  const factor = options.factor ?? 2;
  // The exponent is capped before the power so that a long outage does not overflow to Infinity.
  const exponent = Math.min(Math.max(0, attempt - 1), 64);
  const delay = Math.min(options.maxMs, options.initialMs * factor ** exponent);
  if (prng === undefined) return delay;
  return Math.round(delay * (1 - (options.jitter ?? 0.2) * prng.float()));
}
