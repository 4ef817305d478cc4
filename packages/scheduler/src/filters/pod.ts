/**
 * A pod shares one node: where a member runs already, the others follow. Members that are placed together
 * are kept together by the placing itself (`placing.ts`), which tries whole pods on a node.
 */

import { type Filter, holdersOf, verb, whoHolds } from "../filter.ts";

export const pod: Filter = {
  rule: "pod",
  prepare: ({ ask, cluster }) => {
    const { pod: key } = ask;
    if (key === undefined) return [];
    const members = cluster.podTasks(key).filter((member) => !member.leaving);
    if (members.length === 0) return [];
    return [
      (node) => {
        const elsewhere = members.filter((member) => member.node !== node.model.id);
        if (elsewhere.length === 0) return undefined;
        return { about: key, ...holdersOf(elsewhere.map((member) => member.claims.id)) };
      },
    ];
  },
  looksBeyond: ({ ask }) => ask.pod !== undefined,
  only: ({ ask, cluster }) => {
    const members = ask.pod === undefined ? [] : cluster.podTasks(ask.pod);
    const [first] = members.filter((member) => !member.leaving);
    return first && [first.node];
  },
  // While no member runs nothing is refused.
  reaches: () => [],
  describe: ({ count, about, holder, holders }) => {
    const where = holder === undefined ? "" : ` (${whoHolds(holder, holders)} runs elsewhere)`;
    return `${verb(count, "is", "are")} not the node of pod ${about}${where}`;
  },
  remedy: ({ about, holder, holders }) =>
    `${holder === undefined ? "the rest" : whoHolds(holder, holders)} of pod ${about} were stopped`,
};
