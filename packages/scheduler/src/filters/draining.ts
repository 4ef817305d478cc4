/** A node that an operator empties takes no new tasks. */

import { type Filter, verb } from "../filter.ts";

export const draining: Filter = {
  rule: "draining",
  prepare: () => [(node) => (node.draining ? DRAINING : undefined)],
  describe: ({ count }) => `${verb(count, "is", "are")} draining`,
  remedy: ({ node }) => `${node} were not draining`,
};

const DRAINING = { about: "node" };
