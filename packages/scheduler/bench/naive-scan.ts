/**
 * The peer: flat typed arrays, every node looked at for every ask, the same points as the strategy `balanced` has
 * and the same spread of copies. It knows processor and memory and nothing else, so it is as fast as a
 * scan can be, and it must choose as the engine does.
 */

import { assert, present } from "@berth/base";
import type { NodeModel } from "../src/model.ts";
import { rankOf } from "../src/rank.ts";

export class NaiveScan {
  readonly #ids: readonly string[];
  readonly #cpuTotal: Float64Array;
  readonly #memoryTotal: Float64Array;
  readonly #cpu: Float64Array;
  readonly #memory: Float64Array;
  /** Of the service that is being placed. */
  readonly #copies: Int32Array;
  #service = "";

  constructor(nodes: readonly NodeModel[], seed: number) {
    const byRank = [...nodes].sort((a, b) => rankOf(seed, a.id) - rankOf(seed, b.id));
    this.#ids = byRank.map(({ id }) => id);
    this.#cpuTotal = Float64Array.from(byRank, (node) => node.cpuMillis - node.reserved.cpuMillis);
    this.#memoryTotal = Float64Array.from(
      byRank,
      (node) => node.memoryBytes - node.reserved.memoryBytes,
    );
    this.#cpu = Float64Array.from(this.#cpuTotal);
    this.#memory = Float64Array.from(this.#memoryTotal);
    this.#copies = new Int32Array(byRank.length);
  }

  /** Places one copy and returns its node. Copies of one service come one after the other. */
  place(service: string, cpuMillis: number, memoryBytes: number): string {
    if (service !== this.#service) this.#copies.fill(0);
    this.#service = service;
    const best = this.#best(cpuMillis, memoryBytes);
    assert(best >= 0, "the cluster has room");
    this.#cpu[best] = (this.#cpu[best] ?? 0) - cpuMillis;
    this.#memory[best] = (this.#memory[best] ?? 0) - memoryBytes;
    this.#copies[best] = (this.#copies[best] ?? 0) + 1;
    return present(this.#ids[best], "node");
  }

  #best(cpuMillis: number, memoryBytes: number): number {
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (let node = 0; node < this.#ids.length; node++) {
      const cpu = (this.#cpu[node] ?? 0) - cpuMillis;
      const memory = (this.#memory[node] ?? 0) - memoryBytes;
      if (cpu < 0 || memory < 0) continue;
      const cpuShare = 1 - cpu / (this.#cpuTotal[node] ?? 1);
      const memoryShare = 1 - memory / (this.#memoryTotal[node] ?? 1);
      const room = 1 - (cpuShare + memoryShare) / 2;
      const even = 1 - Math.abs(cpuShare - memoryShare);
      const fit = Math.round(100 * (0.6 * room + 0.4 * even));
      const points = 10 * fit - 1_000 * (this.#copies[node] ?? 0);
      if (points > most) {
        most = points;
        best = node;
      }
    }
    return best;
  }
}
