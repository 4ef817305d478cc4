/**
 * How many of some tasks lie in each domain of a level? Counted once when it is first asked, kept up to date from
 * then on, so that spread and affinity need no look at the nodes.
 *
 * Invariant: the counts are those that a new count would give; a domain without a task has no entry. What lies
 * in no domain is counted under `undefined`. Cost: O(tasks) for the first question about a level, O(levels asked)
 * for a change, O(1) for all others.
 */

import { domainReader } from "./attribute.ts";
import type { NodeModel } from "./model.ts";

/** Tasks by domain. */
export type ByDomain = ReadonlyMap<string | undefined, number>;

interface LevelCounts {
  readonly domain: (node: NodeModel) => string | undefined;
  readonly counts: Map<string | undefined, number>;
}

export class DomainCounts {
  readonly #levels = new Map<string, LevelCounts>();

  /** The counts over `level`, which live on; `nodes` has the node of each task, asked at the first time. */
  of(level: string, nodes: () => Iterable<NodeModel>): ByDomain {
    const known = this.#levels.get(level);
    if (known !== undefined) return known.counts;
    const made: LevelCounts = { domain: domainReader(level), counts: new Map() };
    for (const node of nodes()) count(made, node, 1);
    this.#levels.set(level, made);
    return made.counts;
  }

  /** A task came to the node (`sign` 1) or left it (-1). */
  change(node: NodeModel, sign: 1 | -1): void {
    if (this.#levels.size === 0) return;
    for (const level of this.#levels.values()) count(level, node, sign);
  }
}

function count({ domain, counts }: LevelCounts, node: NodeModel, sign: 1 | -1): void {
  const where = domain(node);
  const total = (counts.get(where) ?? 0) + sign;
  if (total === 0) counts.delete(where);
  else counts.set(where, total);
}
