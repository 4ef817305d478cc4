/** Enough of every resource must be left after the reserve and all requests that were granted. */

import { type Check, type Filter, verb } from "../filter.ts";
import { percentOf } from "../overcommit.ts";
import { formatMostFree, formatQuantity } from "../quantity.ts";
import { type Need, unitOf } from "../resources.ts";

export const resources: Filter = {
  rule: "resources",
  prepare: ({ ask: { overcommit }, needs, cluster: { columns } }) =>
    needs.resources.map(({ name, amount }) => {
      const column = columns.of(name);
      const percent = percentOf(overcommit, name);
      if (percent > 100) return overcommitted({ name, amount }, column, percent);
      return (node) => {
        const free = node.free[column] ?? 0;
        if (free >= amount) return undefined;
        const available = Math.max(0, free);
        return { about: name, need: amount, available, missing: amount - free, unit: unitOf(name) };
      };
    }),
  describe: ({ count, about, beyond, need, bestAvailable, unit }) => {
    const needed = formatQuantity(need ?? 0, unit);
    const best = formatMostFree(bestAvailable, unit);
    return `${verb(count, "lacks", "lack")} ${about}${beyond === undefined ? "" : ` ${beyond}`} (need ${needed}, ${best})`;
  },
  remedy: ({ about, node, beyond, missing, unit }) =>
    `${node} had ${formatQuantity(missing ?? 0, unit)} ${about} more${beyond === undefined ? "" : ` ${beyond}`}`,
};

/** For an ask that may count on what others leave of their requests, up to so many hundredths. */
function overcommitted({ name, amount }: Need, column: number, percent: number): Check {
  return (node) => {
    const free = node.free[column] ?? 0;
    const spared = node.spared[column] ?? 0;
    const extra = Math.floor(((node.total[column] ?? 0) * (percent - 100)) / 100);
    const room = free + Math.min(spared, extra);
    if (room >= amount) return undefined;
    const beyond = spared < extra ? "by measured use" : `at ${percent} %`;
    const [available, missing] = [Math.max(0, room), amount - room];
    return { about: name, beyond, need: amount, available, missing, unit: unitOf(name) };
  };
}
