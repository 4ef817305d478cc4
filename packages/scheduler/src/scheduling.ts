/**
 * Decides a batch: group by group, each against the cluster as the ones before it left it.
 *
 * Placing one ask may make another possible (a required affinity, a required spread), so what found no place
 * is tried again until a round places nothing, before a lower priority gets its turn. The last round saw the
 * final state throughout, therefore what is refused does not fit beside what was placed, and the refusals
 * are measured there. Within a round an ask that is like one without a place is passed over without looking.
 * Where tasks may be displaced, that is tried after the rounds of a priority (`preemption/`).
 * Cost: that of placing for each ask, one round more for each priority and kind of ask that waits, and a look at
 * every node for each kind that is refused.
 */

import { assert } from "@berth/base";
import { type Group, groupAsks } from "./batch.ts";
import type { Ask } from "./model.ts";
import { placeGroup, type Site } from "./placing.ts";
import type { Placement, Refusal, SchedulePlan } from "./plan.ts";
import { placeDisplacing } from "./preemption/place-displacing.ts";
import { refuseGroup } from "./refusing.ts";

/** Places `asks` in the state of `site`, which keeps the placements. */
export function scheduleInto(site: Site, asks: readonly Ask[]): SchedulePlan {
  const placements: Placement[] = [];
  let open: readonly Group[] = [];
  for (const { priority, groups } of groupAsks(asks, site.cluster, site.options.defaults)) {
    open = placeInRounds(chain(open, groups), site, placements);
    // Whoever displaces somebody may be the neighbour that others waited for.
    for (let forced = true; forced && open.length > 0; ) {
      const left = displaceAll(open, priority, site, placements);
      forced = left.length < open.length;
      open = forced ? placeInRounds(left, site, placements) : left;
    }
  }
  assertIds(open, site);
  return { placements, refusals: refuseAll(open, site) };
}

/** What was placed has ids of its own, or the state would have ended it; so must what was not. */
function assertIds(open: readonly Group[], { cluster }: Site): void {
  const ids = new Set<string>();
  for (const { units } of open) {
    for (const { ask } of units.flatMap(({ members }) => members)) {
      assert(cluster.task(ask.id) === undefined, `ask ${ask.id} has the id of a task`);
      assert(!ids.has(ask.id), "two asks have one id");
      ids.add(ask.id);
    }
  }
}

function* chain<T>(first: Iterable<T>, second: Iterable<T>): Iterable<T> {
  yield* first;
  yield* second;
}

/** Rounds until one places nothing; returns what is left. Each placement leaves fewer groups, so it ends. */
function placeInRounds(
  groups: Iterable<Group>,
  site: Site,
  placements: Placement[],
): readonly Group[] {
  let round = placeAll(groups, site, placements);
  while (round.placed > 0 && round.left.length > 0) round = placeAll(round.left, site, placements);
  return round.left;
}

/**
 * Groups of that priority displace others. Those of higher ones had their turn, and what was placed since is
 * not displaced by what it came after.
 */
function displaceAll(
  groups: readonly Group[],
  priority: number,
  site: Site,
  placements: Placement[],
): readonly Group[] {
  const { displacing } = site;
  if (displacing === undefined) return groups;
  const hopeless = new Set<string>();
  return groups.filter((group) => {
    if (group.priority !== priority) return true;
    const likeness = hopeless.size === 0 ? undefined : likenessOf(group);
    if (likeness !== undefined && hopeless.has(likeness)) return true;
    if (placeDisplacing(group, site, displacing, placements)) return false;
    const failed = likeness ?? likenessOf(group);
    if (failed !== undefined) hopeless.add(failed);
    return true;
  });
}

/** One round: adds what it places to `placements`. */
function placeAll(groups: Iterable<Group>, site: Site, placements: Placement[]) {
  const before = placements.length;
  const left: Group[] = [];
  const hopeless = new Set<string>();
  for (const group of groups) {
    // Nothing is written down while everything finds its place.
    const likeness = hopeless.size === 0 ? undefined : likenessOf(group);
    const known = likeness !== undefined && hopeless.has(likeness);
    if (!known && placeGroup(group, site, placements)) continue;
    left.push(group);
    const failed = likeness ?? likenessOf(group);
    if (failed !== undefined) hopeless.add(failed);
  }
  return { placed: placements.length - before, left };
}

function refuseAll(groups: readonly Group[], site: Site): readonly Refusal[] {
  const byLikeness = new Map<string, Refusal>();
  return groups.flatMap((group) => {
    const likeness = likenessOf(group);
    const known = likeness === undefined ? undefined : byLikeness.get(likeness);
    const ask = group.units[0]?.members[0]?.ask.id ?? "";
    if (known !== undefined) return [{ ...known, ask }];
    const refusals = refuseGroup(group, site);
    const [refusal] = refusals;
    if (likeness !== undefined && refusal !== undefined) byLikeness.set(likeness, refusal);
    return refusals;
  });
}

/**
 * Equal for asks that every rule treats alike: all but identity and what only scores. Pods and gangs have
 * none: they are few.
 */
function likenessOf(group: Group): string | undefined {
  const [unit, second] = group.units;
  const [member, companion] = unit?.members ?? [];
  if (member === undefined || companion !== undefined || second !== undefined) return undefined;
  const { id, slot, previousNode, failedNodes, images, priority, strategy, weights, ...rules } =
    member.ask;
  return rules.pod === undefined && rules.gang === undefined ? JSON.stringify(rules) : undefined;
}
