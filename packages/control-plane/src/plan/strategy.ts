/** How nodes are chosen for copies whose file does not say. */

import { keys, type StrategyWord } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";

/** Room without one resource running out before the other: what services of unknown use want. */
const STRATEGY: StrategyWord = "balanced";

/** The project's strategy, which that of a service goes before. */
export function strategyOf(view: ClusterView, project: string): StrategyWord {
  return view.policies.get(keys.policy(project))?.value.strategy ?? STRATEGY;
}
