/**
 * Copies of one service lie apart: a point is lost for each copy that the node's domain has already.
 *
 * Unless the ask states a preferred spread over nodes, its copies are spread over nodes all the same, so
 * that one dead host does not take a service with it. A stated level counts more than that (default weight
 * 4), so zones are evened out first and nodes within them second.
 */

import { domainReader } from "../attribute.ts";
import type { Subject } from "../filter.ts";
import type { Ask, Spread } from "../model.ts";
import type { NodeState } from "../node-state.ts";
import type { Points, Score } from "../score.ts";

/** Points lost per copy and unit of weight: as much as the whole range of another score. */
const POINTS_PER_COPY = 100;
const STATED_WEIGHT = 4;

export const spreadScore: Score = {
  name: "spread",
  prepare: (subject) => {
    const parts = statedLevels(subject.ask).map((each) => partOf(each, subject));
    const copies = subject.cluster.copiesOf(subject.ask.service);
    const weight = nodeWeight(subject.ask);
    return (node) => {
      let points = copyPoints(weight, copies(node));
      for (const part of parts) points += part(node);
      // Not -0, which would print.
      return points === 0 ? 0 : points;
    };
  },
  // The copies on the node itself are the turn's own business (`copyPointsOf`).
  reach: (subject) => {
    const stated = statedLevels(subject.ask);
    if (stated.length === 0) return undefined;
    const parts = stated.map((each) => ({ level: each.level, points: partOf(each, subject) }));
    const sum = (node: NodeState, level?: string) =>
      parts.reduce(
        (points, part) =>
          level === undefined || part.level === level ? points + part.points(node) : points,
        0,
      );
    return {
      points: (node) => sum(node),
      levels: stated.map(({ level }) => level),
      // The other levels can only take points away.
      most: (node, level) => (level === undefined ? 0 : sum(node, level)),
    };
  },
};

/** Points for copies of the service on the node itself, by their number: 0 or less, falling. */
export function copyPointsOf(ask: Ask): (copies: number) => number {
  const weight = nodeWeight(ask);
  return (copies) => copyPoints(weight, copies);
}

function copyPoints(weight: number, copies: number): number {
  return copies === 0 ? 0 : -Math.round(POINTS_PER_COPY * weight * copies);
}

/** Preferred levels above the node. */
function statedLevels({ spread = [] }: Ask): readonly Spread[] {
  return spread.filter((each) => !each.required && each.level !== "node");
}

/** A stated weight for nodes replaces the unstated one; 0 switches the default spreading off. */
function nodeWeight({ spread = [] }: Ask): number {
  const stated = spread.find((each) => !each.required && each.level === "node");
  return stated === undefined ? 1 : (stated.weight ?? STATED_WEIGHT);
}

/** Points for the copies in the node's domain; nodes outside all domains make up one more. */
function partOf({ level, weight = STATED_WEIGHT }: Spread, { ask, cluster }: Subject): Points {
  const copies = cluster.copiesByDomain(ask.service, level);
  const domain = domainReader(level);
  return ({ model }) => copyPoints(weight, copies.get(domain(model)) ?? 0);
}
