/** A `prefer-no-schedule` taint makes a node less wanted for asks that do not tolerate it. */

import type { Score } from "../score.ts";
import { tolerates } from "../toleration.ts";

const POINTS_PER_TAINT = 100;

export const taintsScore: Score = {
  name: "taints",
  prepare: ({ ask }) => {
    const tolerations = ask.tolerations ?? [];
    return (node) => {
      let count = 0;
      for (const taint of node.model.taints) {
        if (taint.effect === "prefer-no-schedule" && !tolerates(tolerations, taint)) count++;
      }
      return count === 0 ? 0 : -POINTS_PER_TAINT * count;
    };
  },
};
