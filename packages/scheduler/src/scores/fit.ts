/**
 * The fit of a node by strategy, 0 to 100 points.
 *
 * All of them look at the node as it will be with the ask on it, over the resources that the ask uses.
 */

import { assertNever } from "@berth/base";
import type { Subject } from "../filter.ts";
import type { Strategy } from "../model.ts";
import type { NodeState } from "../node-state.ts";
import type { Points, Score } from "../score.ts";
import { balancedFit } from "./balanced-fit.ts";
import { cheapestFit } from "./cheapest-fit.ts";
import { usedShare } from "./used-share.ts";

/** The fit score for the strategy in force. */
export function fitScore(strategy: Strategy): Score {
  return { name: "fit", prepare: (subject) => pointsOf(strategy, subject) };
}

function pointsOf(strategy: Strategy, subject: Subject): Points {
  switch (strategy) {
    case "tightest":
      return percent(usedShare(subject));
    case "room":
      return percent(usedShare(subject), 1);
    case "balanced":
      return balancedFit(subject);
    case "cheapest":
      return cheapestFit(subject);
    default:
      return assertNever(strategy, "strategy");
  }
}

/** The share in hundredths, or what is left of `of`. */
function percent(share: (node: NodeState) => number, of?: 1): Points {
  return of === undefined
    ? (node) => Math.round(100 * share(node))
    : (node) => Math.round(100 * (of - share(node)));
}
