/**
 * A batch of asks in the order in which they are decided.
 *
 * Asks of one pod form a unit (one node), units of one gang a group (all or none). Groups go by priority,
 * then the larger first, because small ones still find room between large ones but not the reverse, then
 * by service, slot and id: no order of the input shows. Cost: O(asks log asks).
 */

import { assert, present } from "@berth/base";
import { type ClusterState, compareText } from "./cluster-state.ts";
import type { Ask, Requests } from "./model.ts";
import { type Needs, needsOf, WHOLE_MILLIS } from "./resources.ts";
import { sameValue } from "./same-value.ts";

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
  const totals = totalsOf(cluster);
  const lots = new Lots(defaults, totals);
  const ids = new Set<string>();
  const tied: Wanted[] = [];
  for (const ask of asks) {
    assert(cluster.task(ask.id) === undefined, `ask ${ask.id} has the id of a task`);
    ids.add(ask.id);
    if (ask.pod === undefined && ask.gang === undefined) lots.add(ask);
    else tied.push({ ask, needs: needsOf(ask.requests, defaults) });
  }
  assert(ids.size === asks.length, "two asks have one id");
  return [...lots.all(), ...tiedLots(tied, totals)]
    .sort(compareLots)
    .reduce(joinEqual, [])
    .flatMap(groupsOf);
}

/** Groups that follow each other unless a lot has the same keys: equal but for the copy. */
interface Lot {
  readonly priority: number;
  readonly size: number;
  readonly service: string;
  /** In any order. */
  readonly groups: Group[];
}

/** The asks that stand alone, which are nearly all: by service, with needs worked out once for equal requests. */
class Lots {
  readonly #byService = new Map<
    string,
    (Lot & { readonly needs: Needs; readonly requests: Requests })[]
  >();
  readonly #defaults: Requests;
  readonly #totals: ReadonlyMap<string, number>;

  constructor(defaults: Requests, totals: ReadonlyMap<string, number>) {
    this.#defaults = defaults;
    this.#totals = totals;
  }

  add(ask: Ask): void {
    const { service, requests, priority = PRIORITY_DEFAULT } = ask;
    const lots = this.#byService.get(service) ?? [];
    if (lots.length === 0) this.#byService.set(service, lots);
    let lot = lots.find((each) => each.priority === priority && sameValue(each.requests, requests));
    if (lot === undefined) {
      const needs = needsOf(requests, this.#defaults);
      const size = sizeOf([{ ask, needs }], this.#totals);
      lot = { priority, size, service, groups: [], needs, requests };
      lots.push(lot);
    }
    const unit = { pod: undefined, members: [{ ask, needs: lot.needs }] };
    lot.groups.push({ gang: undefined, priority, units: [unit] });
  }

  all(): readonly Lot[] {
    return [...this.#byService.values()].flat();
  }
}

/** Pods and gangs, each a lot of its own. */
function tiedLots(wanted: readonly Wanted[], totals: ReadonlyMap<string, number>): readonly Lot[] {
  const units = gather([...wanted].sort(compareWanted), ({ ask }) => ask.pod).map(
    ([pod, members]): Unit => ({ pod, members }),
  );
  const unitOrder = orderBy(units, (unit) => unit.members, totals);
  return gather([...units].sort(unitOrder), gangNames(units)).map(([gang, members]): Lot => {
    const all = members.flatMap((unit) => unit.members).sort(compareWanted);
    return {
      priority: priorityOf(members),
      size: sizeOf(all, totals),
      service: present(all[0], "member").ask.service,
      groups: [{ gang, priority: priorityOf(members), units: members }],
    };
  });
}

function compareLots(a: Lot, b: Lot): number {
  return b.priority - a.priority || b.size - a.size || compareText(a.service, b.service);
}

/** Puts neighbours with equal keys into one lot. */
function joinEqual(joined: Lot[], lot: Lot): Lot[] {
  const last = joined.at(-1);
  if (last === undefined || compareLots(last, lot) !== 0) joined.push(lot);
  else joined[joined.length - 1] = { ...last, groups: [...last.groups, ...lot.groups] };
  return joined;
}

/** By slot and id of the first member; mostly they come in that order. */
function groupsOf({ groups }: Lot): readonly Group[] {
  const ordered = groups.every((group, at) => {
    const before = groups[at - 1];
    return before === undefined || compareGroups(before, group) <= 0;
  });
  return ordered ? groups : [...groups].sort(compareGroups);
}

function compareGroups(a: Group, b: Group): number {
  return compareWanted(firstOf(a), firstOf(b));
}

/** The first member by service, slot and id. */
function firstOf({ units }: Group): Wanted {
  const [unit] = units;
  if (units.length === 1 && unit?.members.length === 1) return present(unit.members[0], "member");
  return present(units.flatMap(({ members }) => members).sort(compareWanted)[0], "member");
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
