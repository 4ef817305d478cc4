/** A node takes tasks only while it is ready: its agent reports, and it has all that tasks need. */

import { type Filter, verb } from "../filter.ts";

export const readiness: Filter = {
  rule: "ready",
  prepare: () => [(node) => (node.ready ? undefined : NOT_READY)],
  describe: ({ count }) => `${verb(count, "is", "are")} not ready`,
  remedy: ({ node }) => `${node} were ready`,
};

const NOT_READY = { about: "node" };
