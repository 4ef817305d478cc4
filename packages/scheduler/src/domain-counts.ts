/**
 * How many tasks of a key (a service) lie in each domain of a level? Counted once when it is first asked, kept
 * up to date from then on, so that spread and affinity need no look at the nodes.
 *
 * Invariant: the counts are those that a new count would give; a domain without a task has no entry. What lies
 * in no domain is counted under `undefined`. Cost: O(tasks of the key) for the first question, O(levels asked
 * of the key) for a change, O(1) for all others.
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
  readonly #byKey = new Map<string, Map<string, LevelCounts>>();

  /** The counts of `key` over `level`, which live on; `nodes` has the node of each task, asked at the first time. */
  of(key: string, level: string, nodes: () => Iterable<NodeModel>): ByDomain {
    const levels = this.#levels(key);
    const known = levels.get(level);
    if (known !== undefined) return known.counts;
    const made: LevelCounts = { domain: domainReader(level), counts: new Map() };
    for (const node of nodes()) count(made, node, 1);
    levels.set(level, made);
    return made.counts;
  }

  /** A task of `key` came to the node (`sign` 1) or left it (-1). */
  change(key: string, node: NodeModel, sign: 1 | -1): void {
    const levels = this.#byKey.get(key);
    if (levels === undefined) return;
    for (const level of levels.values()) count(level, node, sign);
  }

  #levels(key: string): Map<string, LevelCounts> {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const made = new Map<string, LevelCounts>();
    this.#byKey.set(key, made);
    return made;
  }
}

function count({ domain, counts }: LevelCounts, node: NodeModel, sign: 1 | -1): void {
  const where = domain(node);
  const total = (counts.get(where) ?? 0) + sign;
  if (total === 0) counts.delete(where);
  else counts.set(where, total);
}
