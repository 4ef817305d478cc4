/** A taint keeps tasks away that do not tolerate it; `prefer-no-schedule` only scores (scores/taints.ts). */

import { type Filter, type Finding, verb } from "../filter.ts";
import type { Taint, Toleration } from "../model.ts";
import { tolerates } from "../toleration.ts";

export const taints: Filter = {
  rule: "taints",
  prepare: ({ ask }) => {
    const tolerations = ask.tolerations ?? [];
    return [(node) => untolerated(node.model.taints, tolerations)];
  },
  describe: ({ count, about }) =>
    `${verb(count, "has", "have")} taint ${about}, which it does not tolerate`,
  remedy: ({ about, nodes }) =>
    `it tolerated the taint ${about} (${nodes} ${verb(nodes, "node", "nodes")})`,
};

/** All of them in one finding: the node opens only when every one is tolerated. */
function untolerated(
  all: readonly Taint[],
  tolerations: readonly Toleration[],
): Finding | undefined {
  if (all.length === 0) return undefined;
  const hard = all.filter(
    (taint) => taint.effect !== "prefer-no-schedule" && !tolerates(tolerations, taint),
  );
  if (hard.length === 0) return undefined;
  const names = hard.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`));
  return { about: [...new Set(names)].sort().join(" and ") };
}
