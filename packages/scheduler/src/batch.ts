/**
 * A batch of asks in the order in which they are decided.
 *
 * Asks of one pod form a unit (one node), units of one gang a group (all or none). Groups go by priority,
 * then the larger first, because small ones still find room between large ones but not the reverse, then
 * by service, slot and id: no order of the input shows. Cost: O(asks log asks).
 */

import { present } from "@berth/base";
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

/**
 * The asks in groups, in order, by priority. Groups of one ask, which are nearly all, are made on the way: a
 * million of them at a time would cost more than placing them.
 */
export function groupAsks(
  asks: readonly Ask[],
  cluster: ClusterState,
  defaults: Requests,
): readonly Level[] {
  const totals = totalsOf(cluster);
  const lots = new Lots(defaults, totals);
  const tied: Wanted[] = [];
  for (const ask of asks) {
    if (ask.pod === undefined && ask.gang === undefined) lots.add(ask);
    else tied.push({ ask, needs: needsOf(ask.requests, defaults) });
  }
  const ordered = [...lots.all(), ...tiedLots(tied, totals)].sort(compareLots);
  return [...Map.groupBy(ordered, ({ priority }) => priority)].map(([priority, lots]) => {
    return { priority, groups: groupsOf(lots) };
  });
}

/** The groups of one priority. */
export interface Level {
  readonly priority: number;
  /** In order; to be gone through once. */
  readonly groups: Iterable<Group>;
}

/** Groups that follow each other, unless another lot has the same keys: equal but for the copy. */
interface Lot {
  readonly priority: number;
  readonly size: number;
  readonly service: string;
  /** By slot and id. */
  readonly groups: () => Iterable<Group>;
}

/** Asks of one service and priority with equal requests. */
class EqualAsks implements Lot {
  readonly priority: number;
  readonly size: number;
  readonly service: string;
  readonly requests: Requests;
  readonly asks: Ask[] = [];
  readonly #needs: Needs;

  constructor(first: Ask, needs: Needs, size: number) {
    this.priority = first.priority ?? PRIORITY_DEFAULT;
    this.size = size;
    this.service = first.service;
    this.requests = first.requests;
    this.#needs = needs;
  }

  *groups(): Iterable<Group> {
    for (const ask of inOrder(this.asks, compareAsks)) {
      const unit = { pod: undefined, members: [{ ask, needs: this.#needs }] };
      yield { gang: undefined, priority: this.priority, units: [unit] };
    }
  }
}

/** The asks that stand alone; needs are worked out once for equal requests. */
class Lots {
  readonly #lots = new Map<string, EqualAsks>();
  /** By service: the next ask mostly equals it. */
  readonly #latest = new Map<string, EqualAsks>();
  readonly #defaults: Requests;
  readonly #totals: ReadonlyMap<string, number>;

  constructor(defaults: Requests, totals: ReadonlyMap<string, number>) {
    this.#defaults = defaults;
    this.#totals = totals;
  }

  add(ask: Ask): void {
    const { service, requests, priority = PRIORITY_DEFAULT } = ask;
    let lot = this.#latest.get(service);
    if (lot?.priority !== priority || !sameValue(lot.requests, requests)) {
      lot = this.#lotOf(ask);
      this.#latest.set(service, lot);
    }
    lot.asks.push(ask);
  }

  all(): Iterable<Lot> {
    return this.#lots.values();
  }

  #lotOf(ask: Ask): EqualAsks {
    const key = JSON.stringify([ask.service, ask.priority, ask.requests]);
    const known = this.#lots.get(key);
    if (known !== undefined) return known;
    const needs = needsOf(ask.requests, this.#defaults);
    const made = new EqualAsks(ask, needs, sizeOf([{ ask, needs }], this.#totals));
    this.#lots.set(key, made);
    return made;
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
    const priority = priorityOf(members);
    const { service } = present(all[0], "member").ask;
    const groups = () => [{ gang, priority, units: members }];
    return { priority, size: sizeOf(all, totals), service, groups };
  });
}

function compareLots(a: Lot, b: Lot): number {
  return b.priority - a.priority || b.size - a.size || compareText(a.service, b.service);
}

/** The groups of lots in order; those of lots with equal keys are mixed by slot and id. */
function* groupsOf(lots: readonly Lot[]): Iterable<Group> {
  for (let at = 0; at < lots.length; ) {
    const first = present(lots[at], "lot");
    let end = at + 1;
    for (let next = lots[end]; next !== undefined; next = lots[end]) {
      if (compareLots(first, next) !== 0) break;
      end++;
    }
    if (end === at + 1) yield* first.groups();
    else
      yield* lots
        .slice(at, end)
        .flatMap((lot) => [...lot.groups()])
        .sort(compareGroups);
    at = end;
  }
}

function compareGroups(a: Group, b: Group): number {
  return compareWanted(firstOf(a), firstOf(b));
}

/** The first member by service, slot and id. */
function firstOf({ units }: Group): Wanted {
  return present(units.flatMap(({ members }) => members).sort(compareWanted)[0], "member");
}

/** The items sorted; as they are where they are in order already, as they mostly are. */
function inOrder<T>(items: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  for (let at = 1; at < items.length; at++) {
    const before = items[at - 1];
    const item = items[at];
    if (before !== undefined && item !== undefined && compare(before, item) > 0) {
      return [...items].sort(compare);
    }
  }
  return items;
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
  return compareAsks(a.ask, b.ask);
}

function compareAsks(a: Ask, b: Ask): number {
  return (
    compareText(a.service, b.service) || (a.slot ?? 0) - (b.slot ?? 0) || compareText(a.id, b.id)
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

/** What all nodes have, worked out once for a cluster, since models of nodes do not change. */
function totalsOf(cluster: ClusterState): ReadonlyMap<string, number> {
  const known = knownTotals.get(cluster);
  if (known !== undefined) return known;
  const totals = new Map<string, number>();
  const add = (name: string, amount: number) => totals.set(name, (totals.get(name) ?? 0) + amount);
  const columns = [...cluster.columns.entries()];
  for (const node of cluster.nodes) {
    for (const [name, column] of columns) {
      const amount = node.total[column];
      if (amount !== undefined) add(name, amount);
    }
    for (const { kind } of node.devices) add(deviceKey(kind), WHOLE_MILLIS);
  }
  knownTotals.set(cluster, totals);
  return totals;
}

const knownTotals = new WeakMap<ClusterState, ReadonlyMap<string, number>>();

/** Apart from resources of the same name. */
function deviceKey(kind: string): string {
  return `device ${kind}`;
}
