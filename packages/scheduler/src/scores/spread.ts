/**
 * Copies of one service lie apart: a point is lost for each copy that the node's domain has already.
 *
 * Unless the ask states a preferred spread over nodes, its copies are spread over nodes all the same, so
 * that one dead host does not take a service with it. A stated level counts more than that (default weight
 * 4), so zones are evened out first and nodes within them second.
 */

import { domainOf } from "../attribute.ts";
import type { Subject } from "../filter.ts";
import type { Spread } from "../model.ts";
import type { Points, Score } from "../score.ts";

/** Points lost per copy and unit of weight: as much as the whole range of another score. */
const POINTS_PER_COPY = 100;
const STATED_WEIGHT = 4;

export const spreadScore: Score = {
  name: "spread",
  looksBeyond: ({ ask }) =>
    (ask.spread ?? []).some((each) => !each.required && each.level !== "node"),
  prepare: (subject) => {
    const parts = (subject.ask.spread ?? [])
      .filter((each) => !each.required && each.level !== "node")
      .map((each) => partOf(each, subject));
    const weight = nodeWeight(subject.ask.spread ?? []);
    const { service } = subject.ask;
    return (node) => {
      let copies = weight * (node.copies.get(service) ?? 0);
      for (const part of parts) copies += part(node);
      // Not -0, which would print.
      return copies === 0 ? 0 : -Math.round(POINTS_PER_COPY * copies);
    };
  },
};

/** A stated weight for nodes replaces the unstated one; 0 switches the default spreading off. */
function nodeWeight(spread: readonly Spread[]): number {
  const stated = spread.find((each) => !each.required && each.level === "node");
  return stated === undefined ? 1 : (stated.weight ?? STATED_WEIGHT);
}

/** Copies in the node's domain times the weight; nodes outside all domains make up one more. */
function partOf({ level, weight = STATED_WEIGHT }: Spread, { ask, cluster }: Subject): Points {
  const copies = new Map<string | undefined, number>();
  for (const node of cluster.nodes) {
    const domain = domainOf(node.model, level);
    copies.set(domain, (copies.get(domain) ?? 0) + (node.copies.get(ask.service) ?? 0));
  }
  return (node) => weight * (copies.get(domainOf(node.model, level)) ?? 0);
}
