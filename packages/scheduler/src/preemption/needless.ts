/**
 * Which victims of a gang need not have gone, now that all of it is placed?
 *
 * Each unit displaced as few as it could when its turn came; what a later one freed beyond its need may make an
 * earlier victim needless. The highest priority is given back first, as with a single ask. Afterwards giving any one
 * back would leave a unit without its place, or the victim itself without one.
 */

import { PRIORITY_DEFAULT } from "../batch.ts";
import { type ClusterState, compareText, type Mark } from "../cluster-state.ts";
import type { Held } from "../held.ts";
import { firstFinding, prepareChecks } from "../pipeline.ts";
import { type Site, subjectOf } from "../placing.ts";
import type { Placement } from "../plan.ts";
import type { Single } from "./place-displacing.ts";

/** The placements of the gang, made since `mark`, with those victims only that had to go; the state is that. */
export function withoutNeedless(
  placements: readonly Placement[],
  singles: readonly Single[],
  { cluster }: Site,
  mark: Mark,
): readonly Placement[] {
  const ids = placements.flatMap(({ victims = [] }) => victims);
  if (ids.length === 0) return placements;
  const members = placements
    .map(({ ask }) => cluster.task(ask))
    .filter((task) => task !== undefined);
  // As they were before anybody had to go.
  cluster.undoTo(mark);
  const victims = ids.map((id) => cluster.task(id)).filter((task) => task !== undefined);
  const displace = (gone: ReadonlySet<string>) => {
    for (const id of ids) if (gone.has(id)) cluster.displace(id);
    for (const member of members) cluster.add(member);
  };
  displace(new Set(ids));
  const needed = new Set(ids);
  for (const victim of [...victims].sort(byPriority)) {
    cluster.add(victim);
    const fits = singles.every((single) => keepsPlace(single, cluster));
    if (fits) needed.delete(victim.claims.id);
    else cluster.remove(victim.claims.id);
  }
  // Only what really goes counts against the limits of the services.
  cluster.undoTo(mark);
  displace(needed);
  return placements.map((placement) => {
    const { victims: own, ...rest } = placement;
    const left = own?.filter((id) => needed.has(id)) ?? [];
    return left.length === 0 ? rest : { ...rest, victims: left };
  });
}

function byPriority(a: Held, b: Held): number {
  const priority = ({ claims }: Held) => claims.priority ?? PRIORITY_DEFAULT;
  return priority(b) - priority(a) || compareText(a.claims.id, b.claims.id);
}

/** Would the member still be accepted where it is? */
function keepsPlace({ unit, wanted }: Single, cluster: ClusterState): boolean {
  const task = cluster.task(wanted.ask.id);
  const node = task && cluster.node(task.node);
  if (task === undefined || node === undefined) return true;
  cluster.remove(wanted.ask.id);
  const fits = firstFinding(prepareChecks(subjectOf(wanted, unit, cluster)), node) === undefined;
  cluster.add(task);
  return fits;
}
