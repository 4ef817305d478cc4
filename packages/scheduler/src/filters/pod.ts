/**
 * A pod shares one node: where a member runs already, the others follow. Members that are placed together
 * are kept together by the placing itself (`placing.ts`), which tries whole pods on a node.
 */

import { compareText } from "../cluster-state.ts";
import { type Filter, verb } from "../filter.ts";

export const pod: Filter = {
  rule: "pod",
  prepare: ({ ask, cluster }) => {
    const { pod: key } = ask;
    if (key === undefined) return [];
    const members = cluster.podTasks(key).filter((member) => !member.leaving);
    if (members.length === 0) return [];
    members.sort((a, b) => compareText(a.claims.id, b.claims.id));
    return [
      (node) => {
        const elsewhere = members.find((member) => member.node !== node.model.id);
        return elsewhere === undefined ? undefined : { about: key, holder: elsewhere.claims.id };
      },
    ];
  },
  describe: ({ count, about, holder }) =>
    `${verb(count, "is", "are")} not the node of pod ${about}${holder === undefined ? "" : ` (${holder} runs elsewhere)`}`,
  remedy: ({ about, holder }) => `${holder ?? "the rest"} of pod ${about} were stopped`,
};
