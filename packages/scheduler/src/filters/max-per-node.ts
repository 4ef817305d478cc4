/** A service may limit its copies on one node. Copies that leave do not count any more. */

import { type Filter, verb } from "../filter.ts";

export const maxPerNode: Filter = {
  rule: "max-per-node",
  prepare: ({ ask, cluster }) => {
    const limit = ask.maxPerNode;
    if (limit === undefined) return [];
    const full = { about: ask.service, need: limit };
    const copies = cluster.copiesOf(ask.service);
    return [(node) => (copies(node) < limit ? undefined : full)];
  },
  describe: ({ count, about, need }) =>
    `${verb(count, "has", "have")} ${need} ${verb(need ?? 0, "copy", "copies")} of ${about} already`,
  remedy: ({ about, nodes }) =>
    `more copies of ${about} were allowed on a node (${nodes} ${verb(nodes, "node", "nodes")})`,
};
