/** A node takes tasks only while it is ready: its agent reports, and it has all that tasks need. */

import { type Filter, verb } from "../filter.ts";

export const readiness: Filter = {
  rule: "ready",
  prepare: () => [
    (node) => (node.ready ? undefined : { about: node.model.notReadyBecause ?? NO_REASON }),
  ],
  describe: ({ count, about }) => {
    const why = about === NO_REASON ? "" : `: ${about}`;
    return `${verb(count, "is", "are")} not ready${why}`;
  },
  remedy: ({ node }) => `${node} were ready`,
};

const NO_REASON = "node";
