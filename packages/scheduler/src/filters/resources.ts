/** Enough of every resource must be left after the reserve and all requests that were granted. */

import { type Filter, verb } from "../filter.ts";
import { formatMostFree, formatQuantity } from "../quantity.ts";
import { unitOf } from "../resources.ts";

export const resources: Filter = {
  rule: "resources",
  prepare: ({ needs, cluster: { columns } }) =>
    needs.resources.map(({ name, amount }) => {
      const column = columns.of(name);
      return (node) => {
        const free = node.free[column] ?? 0;
        if (free >= amount) return undefined;
        const available = Math.max(0, free);
        return { about: name, need: amount, available, missing: amount - free, unit: unitOf(name) };
      };
    }),
  describe: ({ count, about, need, bestAvailable, unit }) => {
    const needed = formatQuantity(need ?? 0, unit);
    const best = formatMostFree(bestAvailable, unit);
    return `${verb(count, "lacks", "lack")} ${about} (need ${needed}, ${best})`;
  },
  remedy: ({ about, node, missing, unit }) =>
    `${node} had ${formatQuantity(missing ?? 0, unit)} ${about} more`,
};
