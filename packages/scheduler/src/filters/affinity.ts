/**
 * Required nearness: the node must share a domain with a copy of the other service.
 *
 * A service that wants to be near itself may start anywhere while it has no copy, and the members of one
 * pod are near each other by themselves. Copies that leave do not count: what settles next to them would
 * be alone soon.
 */

import { domainOf } from "../attribute.ts";
import type { ClusterState, NodeState } from "../cluster-state.ts";
import { type Check, type Filter, type Subject, verb } from "../filter.ts";
import type { ServiceAffinity } from "../model.ts";
import { neighbour, neighbourOf } from "../neighbour.ts";

export const affinity: Filter = {
  rule: "affinity",
  prepare: (subject) =>
    (subject.ask.affinities ?? []).flatMap((each) =>
      each.kind === "service" && each.required ? checksOf(each, subject) : [],
    ),
  looksBeyond: ({ ask }) =>
    (ask.affinities ?? []).some((each) => each.kind === "service" && each.required),
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
  const { ask, cluster, companions } = subject;
  if (companions.has(wanted.service)) return [];
  const domains = domainsOf(cluster, wanted.service, wanted.level);
  if (domains.size === 0 && wanted.service === ask.service) return [];
  const outside = { about: neighbour("", wanted.level) };
  const far = { about: neighbour(wanted.service, wanted.level) };
  const domainAt = (node: NodeState) => domainOf(node.model, wanted.level);
  return [
    (node) => (domainAt(node) === undefined ? outside : undefined),
    (node) => (domains.has(domainAt(node) ?? "") ? undefined : far),
  ];
}

/** Domains of the level in which the service has a copy that stays. O(copies). */
export function domainsOf(
  cluster: ClusterState,
  service: string,
  level: string,
): ReadonlySet<string> {
  const domains = new Set<string>();
  for (const task of cluster.serviceTasks(service)) {
    const node = task.leaving ? undefined : cluster.node(task.node);
    const domain = node === undefined ? undefined : domainOf(node.model, level);
    if (domain !== undefined) domains.add(domain);
  }
  return domains;
}
