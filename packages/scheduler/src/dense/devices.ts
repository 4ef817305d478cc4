/**
 * The devices of all nodes in typed arrays, and which of a node's devices an ask would get.
 *
 * One request takes the devices whose remainder loses the least worth (`device-prices.ts`), then the
 * tightest, then the first; several requests of one ask are searched exactly (`../devices.ts`).
 */

import { chooseDevices, type DeviceState } from "../devices.ts";
import type { DeviceAssignment, NodeModel } from "../model.ts";
import { type DeviceNeed, WHOLE_MILLIS } from "../resources.ts";
import type { DevicePrices } from "./device-prices.ts";
import { Interner } from "./interner.ts";

/** A choice, and the worth that is lost by it, in thousandths of a device. */
export interface DeviceChoice {
  readonly assignments: readonly DeviceAssignment[];
  readonly regret: number;
}

const NO_DEVICES: DeviceChoice = { assignments: [], regret: 0 };

export class DenseDevices {
  /** Devices of node n: `start[n]` to `start[n + 1] - 1`. */
  readonly start: Int32Array;
  /** Free thousandths by device. */
  readonly free: Int16Array;
  readonly kindOf: Int16Array;
  readonly modelOf: Int16Array;
  readonly kinds = new Interner();
  readonly models = new Interner();
  readonly #indexOf: Int32Array;

  constructor(nodes: readonly NodeModel[]) {
    const counts = nodes.map(({ devices }) => devices.reduce((sum, { count }) => sum + count, 0));
    const all = counts.reduce((sum, count) => sum + count, 0);
    this.start = new Int32Array(nodes.length + 1);
    this.free = new Int16Array(all).fill(WHOLE_MILLIS);
    this.kindOf = new Int16Array(all);
    this.modelOf = new Int16Array(all);
    this.#indexOf = new Int32Array(all);
    let at = 0;
    nodes.forEach(({ devices }, node) => {
      const next = new Map<string, number>();
      for (const { kind, model, count } of devices) {
        for (let each = 0; each < count; each++, at++) {
          const index = next.get(kind) ?? 0;
          next.set(kind, index + 1);
          this.kindOf[at] = this.kinds.idOf(kind);
          this.modelOf[at] = this.models.idOf(model);
          this.#indexOf[at] = index;
        }
      }
      this.start[node + 1] = at;
    });
  }

  get any(): boolean {
    return this.free.length > 0;
  }

  /** Thousandths of all devices of a kind on a node. */
  sums(node: number, kind: number): { readonly free: number; readonly total: number } {
    let free = 0;
    let total = 0;
    for (let at = this.start[node] ?? 0; at < (this.start[node + 1] ?? 0); at++) {
      if (this.kindOf[at] !== kind) continue;
      free += this.free[at] ?? 0;
      total += WHOLE_MILLIS;
    }
    return { free, total };
  }

  /** Books devices on (`sign` 1) or off (-1). */
  book(node: number, assignments: readonly DeviceAssignment[], sign: 1 | -1): void {
    for (const { kind, indexes, shareMillis } of assignments) {
      const kindId = this.kinds.known(kind);
      for (let at = this.start[node] ?? 0; at < (this.start[node + 1] ?? 0); at++) {
        if (this.kindOf[at] !== kindId || !indexes.includes(this.#indexOf[at] ?? -1)) continue;
        this.free[at] = (this.free[at] ?? 0) - sign * shareMillis;
      }
    }
  }

  /** What the node would give, or `undefined` when it has not enough. */
  choose(
    needs: readonly DeviceNeed[],
    node: number,
    prices: DevicePrices,
  ): DeviceChoice | undefined {
    const [need, second] = needs;
    if (need === undefined) return NO_DEVICES;
    if (second !== undefined) return this.#search(needs, node);
    return this.#chooseOne(need, node, prices);
  }

  #chooseOne(need: DeviceNeed, node: number, prices: DevicePrices): DeviceChoice | undefined {
    const able = this.#able(need, node);
    if (able.length < need.count) return undefined;
    const price = prices.regretOf(need.kind, need.shareMillis);
    const costOf = (at: number) => price(this.free[at] ?? 0);
    if (need.count === 1) {
      let best = able[0] ?? 0;
      for (const at of able) if (this.#isBetter(at, best, costOf)) best = at;
      return this.#choice(need, [best], costOf);
    }
    able.sort((a, b) => (a === b ? 0 : this.#isBetter(a, b, costOf) ? -1 : 1));
    return this.#choice(need, able.slice(0, need.count), costOf);
  }

  #isBetter(a: number, b: number, costOf: (at: number) => number): boolean {
    const byCost = costOf(a) - costOf(b);
    if (byCost !== 0) return byCost < 0;
    const byRest = (this.free[a] ?? 0) - (this.free[b] ?? 0);
    return byRest === 0 ? a < b : byRest < 0;
  }

  #choice(
    need: DeviceNeed,
    chosen: readonly number[],
    costOf: (at: number) => number,
  ): DeviceChoice {
    const indexes = chosen.map((at) => this.#indexOf[at] ?? 0).sort((a, b) => a - b);
    const regret = chosen.reduce((sum, at) => sum + costOf(at), 0);
    return { assignments: [{ kind: need.kind, indexes, shareMillis: need.shareMillis }], regret };
  }

  /** Devices that have the share free, of the right kind and model. */
  #able(need: DeviceNeed, node: number): number[] {
    const kind = this.kinds.known(need.kind);
    const able: number[] = [];
    for (let at = this.start[node] ?? 0; at < (this.start[node + 1] ?? 0); at++) {
      if (this.kindOf[at] !== kind || (this.free[at] ?? 0) < need.shareMillis) continue;
      if (
        need.models.length === 0 ||
        need.models.includes(this.models.nameOf(this.modelOf[at] ?? 0))
      )
        able.push(at);
    }
    return able;
  }

  #search(needs: readonly DeviceNeed[], node: number): DeviceChoice | undefined {
    const states: DeviceState[] = [];
    for (let at = this.start[node] ?? 0; at < (this.start[node + 1] ?? 0); at++) {
      states.push({
        kind: this.kinds.nameOf(this.kindOf[at] ?? 0),
        model: this.models.nameOf(this.modelOf[at] ?? 0),
        index: this.#indexOf[at] ?? 0,
        freeMillis: this.free[at] ?? 0,
      });
    }
    const assignments = chooseDevices(states, needs);
    return assignments === undefined ? undefined : { assignments, regret: 0 };
  }
}
