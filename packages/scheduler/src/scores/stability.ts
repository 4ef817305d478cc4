/** A slot stays where it was unless another node is clearly better: caches are warm there. */

import type { Score } from "../score.ts";

const POINTS = 100;

export const stabilityScore: Score = {
  name: "stability",
  prepare: ({ ask }) => {
    const previous = ask.previousNode;
    if (previous === undefined) return undefined;
    return (node) => (node.model.id === previous ? POINTS : 0);
  },
  reach: ({ ask: { previousNode: previous }, cluster }) => {
    if (previous === undefined) return undefined;
    const node = cluster.node(previous);
    return {
      points: ({ model }) => (model.id === previous ? POINTS : 0),
      levels: [],
      most: () => 0,
      favoured: () => (node === undefined ? [] : [node]),
    };
  },
};
