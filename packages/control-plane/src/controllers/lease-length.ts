/**
 * How long a lease of a node lasts: as the settings say, and longer in a cluster so large that renewing would take
 * too much of the server. Pure. Decision: ADR 54.
 */

import { SECOND_MS } from "@berth/base";
import type { ControlPlaneSettings } from "../settings.ts";

/** Agents renew so often within a lease (`packages/agent/src/sync/node-reporter.ts`). */
const RENEWALS_PER_LEASE = 3;

/** Milliseconds, with `nodes` in the cluster: what agents are told, and judged by. */
export function leaseMsFor(
  nodes: number,
  settings: Pick<ControlPlaneSettings, "leaseMs" | "leaseRenewalsPerSecondMax">,
): number {
  const { leaseMs, leaseRenewalsPerSecondMax } = settings;
  const leastMs = (nodes * RENEWALS_PER_LEASE * SECOND_MS) / leaseRenewalsPerSecondMax;
  return Math.max(leaseMs, Math.ceil(leastMs));
}
