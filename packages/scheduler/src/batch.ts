/**
 * A batch of asks in the order in which they are decided.
 *
 * Asks of one pod form a unit (one node), units of one gang a group (all or none). Groups go by priority,
 * then the larger first, because small ones still find room between large ones but not the reverse, then
 * by service, slot and id: no order of the input shows. Cost: O(asks log asks).
 */

import { assert } from "@berth/base";
import { type ClusterState, compareText } from "./cluster-state.ts";
import type { Ask, Requests } from "./model.ts";
import { type Needs, needsOf, WHOLE_MILLIS } from "./resources.ts";

/** An ask with its needs. */
export interface Wanted {
  readonly ask: Ask;
  readonly needs: Needs;
}

/** Asks that share a node: the members of one pod, or a single ask. */
export interface Unit {
  readonly pod: string | undefined;
  /** By service, slot, id; not empty. */
  readonly members: readonly Wanted[];
}

/** Units that are placed all or none: a gang, or a single unit. */
export interface Group {
  readonly gang: string | undefined;
  /** The highest of its members. */
  readonly priority: number;
  /** The larger first; not empty. */
  readonly units: readonly Unit[];
}

/** Priority of an ask that states none. */
export const PRIORITY_DEFAULT = 50;

/** Groups the asks and puts the groups in order. */
export function groupAsks(
  asks: readonly Ask[],
  cluster: ClusterState,
  defaults: Requests,
): readonly Group[] {
  assert(new Set(asks.map((ask) => ask.id)).size === asks.length, "two asks have one id");
  const totals = totalsOf(cluster);
  const wanted = asks.map((ask): Wanted => {
    assert(cluster.task(ask.id) === undefined, `ask ${ask.id} has the id of a task`);
    return { ask, needs: needsOf(ask.requests, defaults) };
  });
  const units = gather(wanted.sort(compareWanted), ({ ask }) => ask.pod).map(
    ([pod, members]): Unit => ({ pod, members }),
  );
  const unitOrder = orderBy(units, (unit) => unit.members, totals);
  const gangOf = gangNames(units);
  const groups = gather([...units].sort(unitOrder), gangOf).map(
    ([gang, members]): Group => ({ gang, priority: priorityOf(members), units: members }),
  );
  const members = (group: Group) => group.units.flatMap((unit) => unit.members);
  return [...groups].sort(orderBy(groups, members, totals));
}

/**
 * Names the gang of each unit. A pod whose members name several gangs joins these: with one node for the
 * pod and all or none for each gang, none of them can go without the others. The smallest name stands for
 * all of them.
 */
function gangNames(units: readonly Unit[]): (unit: Unit) => string | undefined {
  const joined = new Map<string, string>();
  const root = (gang: string): string => {
    const next = joined.get(gang);
    return next === undefined ? gang : root(next);
  };
  const namesOf = (unit: Unit) => unit.members.flatMap(({ ask }) => ask.gang ?? []);
  for (const unit of units) {
    const roots = [...new Set(namesOf(unit).map(root))].sort(compareText);
    const [first, ...others] = roots;
    if (first !== undefined) for (const other of others) joined.set(other, first);
  }
  return (unit) => namesOf(unit).map(root)[0];
}

/** Items by key, in the order of their first; what has no key stays alone. */
function gather<T>(
  items: readonly T[],
  keyOf: (item: T) => string | undefined,
): readonly (readonly [string | undefined, readonly T[]])[] {
  const byKey = new Map<string, T[]>();
  const result: [string | undefined, T[]][] = [];
  for (const item of items) {
    const key = keyOf(item);
    const known = key === undefined ? undefined : byKey.get(key);
    if (known !== undefined) {
      known.push(item);
      continue;
    }
    const list = [item];
    result.push([key, list]);
    if (key !== undefined) byKey.set(key, list);
  }
  return result;
}

function compareWanted(a: Wanted, b: Wanted): number {
  return (
    compareText(a.ask.service, b.ask.service) ||
    (a.ask.slot ?? 0) - (b.ask.slot ?? 0) ||
    compareText(a.ask.id, b.ask.id)
  );
}

function priorityOf(units: readonly Unit[]): number {
  const members = units.flatMap((unit) => unit.members);
  return Math.max(...members.map(({ ask }) => ask.priority ?? PRIORITY_DEFAULT));
}

/** Priority, then size, then the first member. Keys are computed once. */
function orderBy<T>(
  items: readonly T[],
  membersOf: (item: T) => readonly Wanted[],
  totals: ReadonlyMap<string, number>,
): (a: T, b: T) => number {
  const keys = new Map(
    items.map((item) => {
      const members = [...membersOf(item)].sort(compareWanted);
      const priority = Math.max(...members.map(({ ask }) => ask.priority ?? PRIORITY_DEFAULT));
      return [item, { priority, size: sizeOf(members, totals), first: members[0] }];
    }),
  );
  return (a, b) => {
    const left = keys.get(a);
    const right = keys.get(b);
    if (left?.first === undefined || right?.first === undefined) return 0;
    return (
      right.priority - left.priority ||
      right.size - left.size ||
      compareWanted(left.first, right.first)
    );
  };
}

/** Share of the whole cluster that the members take, summed over what they use. */
function sizeOf(members: readonly Wanted[], totals: ReadonlyMap<string, number>): number {
  const share = (name: string, amount: number) => amount / Math.max(1, totals.get(name) ?? 0);
  let size = 0;
  for (const { needs } of members) {
    for (const { name, amount } of needs.resources) size += share(name, amount);
    for (const { kind, count, shareMillis } of needs.devices) {
      size += share(deviceKey(kind), count * shareMillis);
    }
  }
  return size;
}

function totalsOf(cluster: ClusterState): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  const add = (name: string, amount: number) => totals.set(name, (totals.get(name) ?? 0) + amount);
  for (const node of cluster.nodes) {
    for (const [name, amount] of node.total) add(name, amount);
    for (const { kind } of node.devices) add(deviceKey(kind), WHOLE_MILLIS);
  }
  return totals;
}

/** Apart from resources of the same name. */
function deviceKey(kind: string): string {
  return `device ${kind}`;
}
