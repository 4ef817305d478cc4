/**
 * Which silent nodes are to be fenced now, and what becomes of a node's row with it. Pure.
 *
 * A node is fenced only while a copy waits for that: one that only one may run of, and that could run elsewhere.
 * Nothing is fenced in a mass outage. A run that a server did not live to see the end of is done again: hooks can
 * be run any number of times.
 */

import { backoffMs, MINUTE_MS, SECOND_MS } from "@berth/base";
import { type Fence, keys, type Node } from "@berth/protocol";
import { waitsForWord } from "../reconcile/fenced.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import type { FenceOutcome, FenceRequest } from "./fence-port.ts";

/** Between runs of a hook that could not fence. */
const RETRY = { initialMs: 5 * SECOND_MS, maxMs: 5 * MINUTE_MS } as const;

export interface FencesDue {
  readonly due: readonly Entity<Node>[];
  /** Wall time of the next one that is not due yet. */
  readonly nextAt?: number;
}

/** Nodes whose hook is to run, without those that are `active`: a run of this server is under way. */
export function fencesDue(view: ClusterView, now: number, active: ReadonlySet<string>): FencesDue {
  const due: Entity<Node>[] = [];
  let nextAt = Number.POSITIVE_INFINITY;
  for (const entity of view.nodes.all()) {
    const { name, contact, evictionPausedUntil, fence } = entity.value;
    if (contact === "up" || evictionPausedUntil !== undefined || active.has(name)) continue;
    if (fence?.state === "done" || waitsForWord(view, name).length === 0) continue;
    const at = fence?.state === "failed" ? (fence.nextAttemptAt ?? 0) : 0;
    if (at <= now) due.push(entity);
    else nextAt = Math.min(nextAt, at);
  }
  return { due, ...(Number.isFinite(nextAt) ? { nextAt } : {}) };
}

/** The row while the hook runs. */
export function fenceBegins(node: Node, now: number): Node {
  const attempts = (node.fence?.attempts ?? 0) + 1;
  return { ...node, fence: { state: "running", by: "hook", at: now, attempts } };
}

/**
 * The row after the hook; `undefined` when the node was heard of since, or a person was faster: then the outcome
 * is about a silence that is over.
 */
export function fenceEnds(
  node: Node | undefined,
  begun: Node,
  outcome: FenceOutcome,
  now: number,
): Node | undefined {
  const isSame =
    node?.contact === "down" &&
    node.contactChangedAt === begun.contactChangedAt &&
    node.fence?.state === "running";
  if (!isSame || node.fence === undefined) return undefined;
  const { attempts } = node.fence;
  const { fenced, message } = outcome;
  const fence: Fence = fenced
    ? { state: "done", by: "hook", at: now, attempts, message }
    : {
        ...{ state: "failed", by: "hook", at: now, attempts, message },
        nextAttemptAt: now + backoffMs(attempts, RETRY),
      };
  return { ...node, fence };
}

/** What the hook is told. */
export function fenceRequest(view: ClusterView, cluster: string, begun: Node): FenceRequest {
  const status = view.nodeStatuses.get(keys.nodeStatus(begun.name))?.value;
  return {
    node: begun.name,
    cluster,
    address: status?.address,
    bootId: status?.bootId,
    labels: begun.labels,
    silentSince: begun.contactChangedAt,
    attempt: begun.fence?.attempts ?? 1,
  };
}
