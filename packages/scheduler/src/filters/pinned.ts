/** An ask that names its node gets that one or none. */

import { type Filter, verb } from "../filter.ts";

export const pinned: Filter = {
  rule: "pinned",
  prepare: ({ ask }) => {
    const wanted = ask.pinnedNode;
    if (wanted === undefined) return [];
    const other = { about: wanted };
    return [(node) => (node.model.id === wanted ? undefined : other)];
  },
  only: ({ ask }) => (ask.pinnedNode === undefined ? undefined : [ask.pinnedNode]),
  describe: ({ count, about }) => `${verb(count, "is", "are")} not ${about}, to which it is pinned`,
  remedy: ({ about }) => `it were not pinned to ${about}`,
};
