/**
 * Places a group where tasks of lower priority have to go for it.
 *
 * Done only for what has no place otherwise, after everything of its priority had its turn and before anything lower
 * has (`scheduling.ts`). The units of a gang take their places one after the other, by force where there is no other
 * way; when one of them finds none even so, all of it is taken back and everybody stays. Where the victims of a
 * later unit free more than it needs, those of an earlier one are given back (`needless.ts`). Pods displace nobody.
 * Cost: that of the choices, and O(victims × units on their nodes × rules) for a gang.
 */

import { type Group, PRIORITY_DEFAULT, type Unit, type Wanted } from "../batch.ts";
import type { Subject } from "../filter.ts";
import { scorerOf } from "../pipeline.ts";
import { placeLast, type Site, settleOne, subjectOf } from "../placing.ts";
import type { Placement } from "../plan.ts";
import type { Displacing } from "./displacing.ts";
import type { Choice } from "./mildest.ts";
import { withoutNeedless } from "./needless.ts";

/** Places the whole group by force and adds its placements, or does neither and returns false. */
export function placeDisplacing(
  { units }: Group,
  site: Site,
  displacing: Displacing,
  placements: Placement[],
): boolean {
  const singles = units.flatMap((unit) => {
    const [wanted, companion] = unit.members;
    return wanted === undefined || companion !== undefined ? [] : [{ unit, wanted }];
  });
  if (singles.length < units.length) return false;
  const [first, second] = singles;
  if (first === undefined) return false;
  if (second === undefined) return displaceOne(first, site, displacing, placements);
  const mark = site.cluster.mark();
  const own: Placement[] = [];
  for (const single of singles) {
    const isPlaced =
      placeLast(single.unit, site, own) || displaceOne(single, site, displacing, own);
    if (isPlaced) continue;
    site.cluster.undoTo(mark);
    return false;
  }
  placements.push(...withoutNeedless(own, singles, site, mark));
  return true;
}

/** A unit of one member. */
export interface Single {
  readonly unit: Unit;
  readonly wanted: Wanted;
}

function displaceOne(
  { unit, wanted }: Single,
  site: Site,
  displacing: Displacing,
  placements: Placement[],
): boolean {
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
