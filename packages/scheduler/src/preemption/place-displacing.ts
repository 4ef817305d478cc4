/**
 * Places an ask where tasks of lower priority have to go for it.
 *
 * Done only for what has no place otherwise, after everything of its priority had its turn and before anything lower
 * has (`scheduling.ts`). Pods and gangs displace nobody. Cost: that of the choice, and O(victims).
 */

import { type Group, PRIORITY_DEFAULT, type Wanted } from "../batch.ts";
import type { Subject } from "../filter.ts";
import { scorerOf } from "../pipeline.ts";
import { type Site, settleOne, subjectOf } from "../placing.ts";
import type { Placement } from "../plan.ts";
import type { Displacing } from "./displacing.ts";
import type { Choice } from "./mildest.ts";

/** Places the only ask of the group by force and adds its placement, or does neither and returns false. */
export function placeDisplacing(
  { units }: Group,
  site: Site,
  displacing: Displacing,
  placements: Placement[],
): boolean {
  const [unit, second] = units;
  const [wanted, companion] = unit?.members ?? [];
  if (unit === undefined || wanted === undefined) return false;
  if (second !== undefined || companion !== undefined) return false;
  const subject = subjectOf(wanted, unit, site.cluster);
  const choice = displacing.choose(subject, wanted.ask.priority ?? PRIORITY_DEFAULT);
  if (choice === undefined) return false;
  placements.push(settleChoice(wanted, choice, subject, site));
  return true;
}

function settleChoice(
  wanted: Wanted,
  { node, victims, count }: Choice,
  subject: Subject,
  { cluster, options }: Site,
): Placement {
  for (const { claims } of victims) cluster.displace(claims.id);
  const scorer = scorerOf(subject, options);
  const placed = settleOne(wanted, { node, score: scorer.total(node) }, { count, scorer }, cluster);
  return { ...placed, victims: victims.map(({ claims }) => claims.id) };
}
