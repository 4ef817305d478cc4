/**
 * What a placement amounts to: how much is used, on how many hosts, how many would have sufficed at least, and how
 * much of what is free is of no use to asks like these.
 */

import type { NodeModel, Requests } from "../model.ts";
import { allocatable, type Needs, needsOf, WHOLE_MILLIS } from "../resources.ts";

/** A task of the result. */
export interface PlacedNeeds {
  readonly node: string;
  readonly requests: Requests;
}

export interface ResourceUse {
  readonly used: number;
  readonly total: number;
  /** `used / total`, 0 to 1; 0 where there is none. */
  readonly share: number;
}

export interface Use {
  /** Hosts with at least one task. */
  readonly hostsUsed: number;
  /** Hosts that the placed tasks need at least, by the sums of each resource; the optimum is not below. */
  readonly lowerBound: number;
  /** By resource (`cpu`, `memory`, ...), devices in thousandths as `device KIND`. */
  readonly use: Readonly<Record<string, ResourceUse>>;
  /**
   * By resource, the part (0 to 1) of what is free that lies where an ask of this trace, drawn at random,
   * does not fit; only resources of which something is free and asked for. The measure of "Beware of
   * Fragmentation" (USENIX ATC'23), for every resource.
   */
  readonly fragmentation: Readonly<Record<string, number>>;
}

/** Asks that stand for all in the fragmentation: every n-th, so that it costs O(nodes × this). */
const SAMPLE_MAX = 200;

/** O(tasks + nodes × `SAMPLE_MAX` × resources). `asked` are the asks from which the fragmentation draws. */
export function useOf(
  nodes: readonly NodeModel[],
  placed: readonly PlacedNeeds[],
  asked: readonly Requests[],
): Use {
  const rooms = new Map(nodes.map((node) => [node.id, roomOf(node)]));
  const used = new Map<string, number>();
  const hosts = new Set<string>();
  // Copies of a service share their requests.
  const amounts = new Map<Requests, ReturnType<typeof amountsOf>>();
  for (const { node, requests } of placed) {
    hosts.add(node);
    const room = rooms.get(node);
    const wanted = amounts.get(requests) ?? amountsOf(needsOf(requests, {}));
    amounts.set(requests, wanted);
    for (const [name, amount] of wanted) {
      used.set(name, (used.get(name) ?? 0) + amount);
      if (room !== undefined) room.free.set(name, (room.free.get(name) ?? 0) - amount);
    }
  }
  const totals = new Map<string, number>();
  for (const { total } of rooms.values()) {
    for (const [name, amount] of total) totals.set(name, (totals.get(name) ?? 0) + amount);
  }
  return {
    hostsUsed: hosts.size,
    lowerBound: hostsNeeded(
      used,
      [...rooms.values()].map(({ total }) => total),
    ),
    use: usesOf(used, totals),
    fragmentation: fragmentationOf([...rooms.values()], sample(asked)),
  };
}

/** The fewest hosts whose largest capacities add up to every sum; a capacity without limit covers all of it. O(resources × nodes log nodes). */
export function hostsNeeded(
  sums: ReadonlyMap<string, number>,
  capacities: readonly ReadonlyMap<string, number>[],
): number {
  let needed = 0;
  for (const [name, sum] of sums) {
    const sizes = capacities.map((capacity) => capacity.get(name) ?? 0).sort((a, b) => b - a);
    let covered = 0;
    let hosts = 0;
    for (const size of sizes) {
      if (covered >= sum) break;
      covered += size;
      hosts++;
    }
    needed = Math.max(needed, hosts);
  }
  return needed;
}

interface Room {
  readonly total: ReadonlyMap<string, number>;
  readonly free: Map<string, number>;
}

function roomOf(node: NodeModel): Room {
  const total = allocatable(node);
  for (const { kind, count } of node.devices) {
    const name = deviceName(kind);
    total.set(name, (total.get(name) ?? 0) + count * WHOLE_MILLIS);
  }
  return { total, free: new Map(total) };
}

function amountsOf(needs: Needs): readonly (readonly [string, number])[] {
  return [
    ...needs.resources.map(({ name, amount }) => [name, amount] as const),
    ...needs.devices.map(
      ({ kind, count, shareMillis }) => [deviceName(kind), count * shareMillis] as const,
    ),
  ];
}

function deviceName(kind: string): string {
  return `device ${kind}`;
}

function usesOf(used: ReadonlyMap<string, number>, totals: ReadonlyMap<string, number>) {
  // Of what has no limit somewhere no share can be stated.
  const names = [...totals]
    .filter(([name, total]) => Number.isFinite(total) && (total > 0 || used.has(name)))
    .map(([name]) => name);
  return Object.fromEntries(
    names.map((name): [string, ResourceUse] => {
      const total = totals.get(name) ?? 0;
      const amount = used.get(name) ?? 0;
      return [name, { used: amount, total, share: total === 0 ? 0 : amount / total }];
    }),
  );
}

function sample(asked: readonly Requests[]): readonly (readonly (readonly [string, number])[])[] {
  const step = Math.max(1, Math.ceil(asked.length / SAMPLE_MAX));
  return asked
    .filter((_, index) => index % step === 0)
    .map((requests) => amountsOf(needsOf(requests, {})));
}

function fragmentationOf(
  rooms: readonly Room[],
  asks: readonly (readonly (readonly [string, number])[])[],
): Readonly<Record<string, number>> {
  const free = new Map<string, number>();
  const lost = new Map<string, number>();
  for (const room of rooms) {
    const fits = ([name, amount]: readonly [string, number]) =>
      (room.free.get(name) ?? 0) >= amount;
    const unfit = asks.filter((ask) => !ask.every(fits));
    for (const [name, amount] of room.free) {
      if (amount <= 0 || !Number.isFinite(amount)) continue;
      free.set(name, (free.get(name) ?? 0) + amount);
      lost.set(name, (lost.get(name) ?? 0) + (amount * unfit.length) / Math.max(1, asks.length));
    }
  }
  const asked = new Set(asks.flatMap((ask) => ask.map(([name]) => name)));
  return Object.fromEntries(
    [...free]
      .filter(([name]) => asked.has(name))
      .map(([name, amount]) => [name, (lost.get(name) ?? 0) / amount]),
  );
}
