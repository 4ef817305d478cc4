/** Preferred nearness and distance, to nodes by constraint and to services by level. */

import { domainOf } from "../attribute.ts";
import { meetsConstraint } from "../constraint.ts";
import type { Subject } from "../filter.ts";
import { domainsOf } from "../filters/affinity.ts";
import type { NodeAffinity, ServiceAffinity } from "../model.ts";
import type { Points, Score } from "../score.ts";

const WEIGHT = 50;

/** The sum stays within the range of one score, however many preferences a file lists. */
const POINTS_MAX = 100;

export const affinityScore: Score = {
  name: "affinity",
  looksBeyond: ({ ask }) =>
    [...(ask.affinities ?? []), ...(ask.antiAffinities ?? [])].some(
      (each) => each.kind === "service" && !each.required,
    ),
  prepare: (subject) => {
    const near = (subject.ask.affinities ?? []).flatMap((each) => pull(each, subject) ?? []);
    const far = (subject.ask.antiAffinities ?? []).flatMap((each) => pull(each, subject) ?? []);
    if (near.length + far.length === 0) return undefined;
    return (node) => {
      let sum = 0;
      for (const points of near) sum += points(node);
      for (const points of far) sum -= points(node);
      return Math.round(Math.max(-POINTS_MAX, Math.min(POINTS_MAX, sum)));
    };
  },
};

function pull(wanted: ServiceAffinity | NodeAffinity, subject: Subject): Points | undefined {
  const { weight = WEIGHT } = wanted;
  if (wanted.kind === "node") {
    return (node) => (meetsConstraint(node.model, wanted.constraint) ? weight : 0);
  }
  if (wanted.required) return undefined;
  const domains = domainsOf(subject.cluster, wanted.service, wanted.level);
  return (node) => {
    const domain = domainOf(node.model, wanted.level);
    return domain !== undefined && domains.has(domain) ? weight : 0;
  };
}
