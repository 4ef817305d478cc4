/** Every constraint of the ask must hold; a node counts for the first that does not. */

import { meetsConstraint } from "../constraint.ts";
import { type Filter, verb } from "../filter.ts";

export const constraints: Filter = {
  rule: "constraints",
  prepare: ({ ask }) =>
    (ask.constraints ?? []).map((constraint) => {
      const broken = { about: constraint.text };
      return (node) => (meetsConstraint(node.model, constraint) ? undefined : broken);
    }),
  describe: ({ count, about }) => `${verb(count, "does", "do")} not match ${about}`,
  remedy: ({ about, nodes }) =>
    `the constraint ${about} were dropped (${nodes} ${verb(nodes, "node", "nodes")})`,
};
