/**
 * Required spread: placing a copy must not leave its domain with more than `maxSkew` copies above the
 * emptiest domain.
 *
 * The domains that count are those of nodes that could take the ask if they had room (the standing rules
 * hold): a zone without a usable node does not hold the others back, a zone that is full does. A node
 * outside every domain of the level is refused. Cost: O(nodes) per ask.
 */

import { domainOf } from "../attribute.ts";
import { type Check, type Filter, type Finding, type Subject, verb } from "../filter.ts";
import type { Spread } from "../model.ts";
import { STANDING_FILTERS } from "../standing-filters.ts";

export const spread: Filter = {
  rule: "spread",
  prepare: (subject) =>
    (subject.ask.spread ?? [])
      .filter((each) => each.required)
      .map((each) => checkOf(each, subject)),
  describe: ({ count, about, need }) =>
    need === undefined
      ? `${verb(count, "lies", "lie")} in no ${about}`
      : `${verb(count, "lies", "lie")} in a ${about} that has ${need} ${verb(need, "copy", "copies")} more than the emptiest`,
  remedy: ({ about, need, node, nodes }) =>
    need === undefined
      ? `${node} lay in a ${about}`
      : `the spread over ${about} allowed more (${nodes} ${verb(nodes, "node", "nodes")})`,
};

function checkOf(wanted: Spread, subject: Subject): Check {
  const { level, maxSkew = 1 } = wanted;
  const copies = copiesByDomain(subject, level);
  let fewest = Number.POSITIVE_INFINITY;
  for (const count of copies.values()) fewest = Math.min(fewest, count);
  const outside: Finding = { about: level };
  const crowded: Finding = { about: level, need: maxSkew };
  return (node) => {
    const domain = domainOf(node.model, level);
    if (domain === undefined) return outside;
    return (copies.get(domain) ?? 0) + 1 - fewest > maxSkew ? crowded : undefined;
  };
}

/** Copies that stay, by domain, for the domains that have a usable node. */
function copiesByDomain(subject: Subject, level: string): Map<string, number> {
  const { ask, cluster } = subject;
  const checks = STANDING_FILTERS.flatMap((filter) => filter.prepare(subject));
  const usable = new Set<string>();
  const copies = new Map<string, number>();
  for (const node of cluster.nodes) {
    const domain = domainOf(node.model, level);
    if (domain === undefined) continue;
    if (!usable.has(domain) && checks.every((check) => check(node) === undefined))
      usable.add(domain);
    copies.set(domain, (copies.get(domain) ?? 0) + (node.copies.get(ask.service) ?? 0));
  }
  for (const domain of copies.keys()) if (!usable.has(domain)) copies.delete(domain);
  return copies;
}
