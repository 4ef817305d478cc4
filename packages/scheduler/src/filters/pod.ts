/**
 * A pod shares one node: where a member runs already, the others follow. Members that are placed together
 * are kept together by the placing itself (`placing.ts`), which tries whole pods on a node.
 */

import { compareText } from "../cluster-state.ts";
import { type Filter, verb } from "../filter.ts";

export const pod: Filter = {
  rule: "pod",
  prepare: ({ ask, cluster }) => {
    if (ask.pod === undefined) return [];
    const members = cluster.podTasks(ask.pod).filter((member) => !member.leaving);
    const member = members.sort((a, b) => compareText(a.claims.id, b.claims.id))[0];
    if (member === undefined) return [];
    const elsewhere = { about: ask.pod, holder: member.claims.id };
    return [(node) => (node.model.id === member.node ? undefined : elsewhere)];
  },
  describe: ({ count, about, holder }) =>
    `${verb(count, "is", "are")} not the node of pod ${about} (${holder} runs there)`,
  remedy: ({ about, holder }) => `${holder} of pod ${about} were stopped`,
};
