/**
 * Required spread: placing a copy must not leave its domain with more than `maxSkew` copies above the
 * emptiest domain.
 *
 * The domains that count are those of nodes that could take the ask if they had room (the standing rules
 * hold): a zone without a usable node does not hold the others back, a zone that is full does. A node
 * outside every domain of the level is refused. Cost: O(nodes) per ask.
 */

import { domainOf, domainReader } from "../attribute.ts";
import {
  type Check,
  type Filter,
  type Finding,
  type Reach,
  type Subject,
  verb,
} from "../filter.ts";
import type { Spread } from "../model.ts";
import type { NodeState } from "../node-state.ts";
import { STANDING_FILTERS } from "../standing-filters.ts";

export const spread: Filter = {
  rule: "spread",
  prepare: (subject) =>
    (subject.ask.spread ?? [])
      .filter((each) => each.required)
      .map((each) => checkOf(each, subject)),
  looksBeyond: ({ ask }) => (ask.spread ?? []).some((each) => each.required),
  reaches: ({ ask, cluster }, usable) => {
    const required = (ask.spread ?? []).filter((each) => each.required);
    // Nodes are too many to be counted as domains.
    if (required.some(({ level }) => level === "node")) return undefined;
    return required.map(({ level, maxSkew = 1 }): Reach => {
      const copies = cluster.copiesByDomain(ask.service, level);
      const domain = domainReader(level);
      const count = ({ model }: NodeState) => copies.get(domain(model)) ?? 0;
      let fewest: number | undefined;
      return {
        level,
        admits: (node) => {
          if (domain(node.model) === undefined) return false;
          fewest ??= fewestOf(usable(), (each) =>
            domain(each.model) === undefined ? undefined : count(each),
          );
          const own = count(node);
          return own + 1 - Math.min(own, fewest) <= maxSkew;
        },
      };
    });
  },
  describe: ({ count, about, need }) =>
    need === undefined
      ? `${verb(count, "lies", "lie")} in no ${about}`
      : `${verb(count, "lies", "lie")} in a ${about} that has ${need} ${verb(need, "copy", "copies")} more than the emptiest`,
  remedy: ({ about, nodes }) =>
    `the spread over ${about} allowed more (${nodes} ${verb(nodes, "node", "nodes")})`,
};

function checkOf(wanted: Spread, subject: Subject): Check {
  const { level, maxSkew = 1 } = wanted;
  const { copies, fewest } = countCopies(subject, level);
  const outside: Finding = { about: level };
  const crowded: Finding = { about: level, need: maxSkew };
  return (node) => {
    const domain = domainOf(node.model, level);
    if (domain === undefined) return outside;
    const own = copies.get(domain) ?? 0;
    // A domain without a usable node is judged as if this node were one, so that hints are true.
    return own + 1 - Math.min(own, fewest) > maxSkew ? crowded : undefined;
  };
}

/** The smallest of the numbers; without limit when there is none. */
function fewestOf<T>(items: Iterable<T>, count: (item: T) => number | undefined): number {
  let fewest = Number.POSITIVE_INFINITY;
  for (const item of items) fewest = Math.min(fewest, count(item) ?? fewest);
  return fewest;
}

/** Copies that stay by domain, and the fewest in a domain that has a usable node. */
function countCopies(subject: Subject, level: string) {
  const { ask, cluster } = subject;
  const checks = STANDING_FILTERS.flatMap((filter) => filter.prepare(subject));
  const copies = cluster.copiesByDomain(ask.service, level);
  const domainAt = domainReader(level);
  const usable = new Set<string>();
  for (const node of cluster.nodes) {
    const domain = domainAt(node.model);
    if (domain === undefined || usable.has(domain)) continue;
    if (checks.every((check) => check(node) === undefined)) usable.add(domain);
  }
  return { copies, fewest: fewestOf(usable, (domain) => copies.get(domain) ?? 0) };
}
