/**
 * Required nearness: the node must share a domain with a copy of the other service.
 *
 * A service that wants to be near itself may start anywhere while it has no copy, and the members of one
 * pod are near each other by themselves. Copies that leave do not count: what settles next to them would
 * be alone soon.
 */

import { domainReader } from "../attribute.ts";
import { type Check, type Filter, type Reach, type Subject, verb } from "../filter.ts";
import type { Ask, ServiceAffinity } from "../model.ts";
import { neighbour, neighbourOf } from "../neighbour.ts";

export const affinity: Filter = {
  rule: "affinity",
  prepare: (subject) => requiredOf(subject.ask).flatMap((each) => checksOf(each, subject)),
  looksBeyond: ({ ask }) => requiredOf(ask).length > 0,
  only: ({ ask, cluster, companions }) => {
    const near = requiredOf(ask).find(({ service, level }) => {
      return level === "node" && !isFree({ service, level }, { ask, cluster, companions });
    });
    if (near === undefined) return undefined;
    return [...cluster.copiesByDomain(near.service, "node").keys()].flatMap((id) => id ?? []);
  },
  reaches: (subject) =>
    requiredOf(subject.ask)
      .filter((each) => !isFree(each, subject))
      .map(({ service, level }): Reach => {
        const copies = subject.cluster.copiesByDomain(service, level);
        const domain = domainReader(level);
        return {
          level,
          admits: ({ model }) => domain(model) !== undefined && copies.has(domain(model)),
        };
      }),
  describe: ({ count, about }) => {
    const { service, level } = neighbourOf(about);
    if (service === "") return `${verb(count, "lies", "lie")} in no ${level}`;
    if (level === "node") return `${verb(count, "runs", "run")} no copy of ${service}`;
    return `${verb(count, "is", "are")} in no ${level} with a copy of ${service}`;
  },
  remedy: ({ about, node }) => {
    const { service, level } = neighbourOf(about);
    if (service === "") return `${node} lay in a ${level}`;
    const place = level === "node" ? `on ${node}` : `in the ${level} of ${node}`;
    return `a copy of ${service} ran ${place}`;
  },
};

/** Two checks: the node lies in a domain of the level, and a copy of the other service does too. */
function checksOf(wanted: ServiceAffinity, subject: Subject): readonly Check[] {
  if (isFree(wanted, subject)) return [];
  const copies = subject.cluster.copiesByDomain(wanted.service, wanted.level);
  const outside = { about: neighbour("", wanted.level) };
  const far = { about: neighbour(wanted.service, wanted.level) };
  const domain = domainReader(wanted.level);
  return [
    ({ model }) => (domain(model) === undefined ? outside : undefined),
    // What lies in no domain is near nobody, whoever else lies in none.
    ({ model }) => (domain(model) !== undefined && copies.has(domain(model)) ? undefined : far),
  ];
}

function requiredOf({ affinities = [] }: Ask): readonly ServiceAffinity[] {
  if (affinities.length === 0) return NONE;
  return affinities.flatMap((each) => (each.kind === "service" && each.required ? [each] : []));
}

const NONE: readonly ServiceAffinity[] = [];

/** Does the affinity refuse nothing yet: a companion comes along, or the first copy is to be near its own kind? */
function isFree(
  { service, level }: Pick<ServiceAffinity, "service" | "level">,
  { ask, cluster, companions }: Pick<Subject, "ask" | "cluster" | "companions">,
): boolean {
  if (companions.has(service)) return true;
  if (service !== ask.service) return false;
  return [...cluster.copiesByDomain(service, level).keys()].every((domain) => domain === undefined);
}
