/** A node where the slot failed lately is taken last: the cause may lie with the node. */

import type { Score } from "../score.ts";

const POINTS = -100;

export const failuresScore: Score = {
  name: "failures",
  prepare: ({ ask }) => {
    const failed = ask.failedNodes ?? [];
    if (failed.length === 0) return undefined;
    return (node) => (failed.includes(node.model.id) ? POINTS : 0);
  },
  reach: ({ ask: { failedNodes: failed = [] } }) => {
    if (failed.length === 0) return undefined;
    return {
      points: ({ model }) => (failed.includes(model.id) ? POINTS : 0),
      levels: [],
      most: () => 0,
    };
  },
};
