/** How the cluster filled up: the share of each resource and the hosts in use after each n-th change, for the picture. */

import type { NodeModel } from "@berth/scheduler";
import type { Replay } from "@berth/scheduler/trace/replay";
import { useOf } from "@berth/scheduler/trace/summary";

/** One look: shares from 0 to 1 by resource. */
export interface FillingPoint {
  readonly atMs: number;
  readonly changes: number;
  readonly hostsUsed: number;
  readonly shares: Readonly<Record<string, number>>;
}

/** Looks over a run; each costs O(nodes + tasks), so their number is small whatever the length of the trace. */
const LOOKS = 60;

export class Filling {
  readonly points: FillingPoint[] = [];
  readonly #nodes: readonly NodeModel[];
  readonly #step: number;
  #changes = 0;

  constructor(nodes: readonly NodeModel[], changesExpected: number) {
    this.#nodes = nodes;
    this.#step = Math.max(1, Math.ceil(changesExpected / LOOKS));
  }

  look(replay: Replay): void {
    if (++this.#changes % this.#step !== 0) return;
    const placed = [...replay.placed.values()].map(({ node, ask }) => ({
      node,
      requests: ask.ask.requests,
    }));
    this.add(replay.nowMs, placed);
  }

  add(atMs: number, placed: Parameters<typeof useOf>[1]): void {
    const { hostsUsed, use } = useOf(this.#nodes, placed, []);
    const shares = Object.fromEntries(
      Object.entries(use).map(([name, { share }]) => [name, share]),
    );
    this.points.push({ atMs, changes: this.#changes, hostsUsed, shares });
  }
}
