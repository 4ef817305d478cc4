/**
 * Resources that a moved task holds on its old host as well, until all moves are over: disks and memory that are
 * being copied. Kept apart from what is in use, for they do not count in the objective.
 */

import type { DenseCluster } from "../dense/cluster.ts";
import type { Shape } from "../dense/shape.ts";

export class Transients {
  readonly #cluster: DenseCluster;
  /** By resource: 1 where it is held twice. */
  readonly #isTransient: Uint8Array;
  /** By node and resource, what tasks that moved away still hold. */
  readonly #held: Float64Array;

  constructor(cluster: DenseCluster, names: readonly string[]) {
    this.#cluster = cluster;
    this.#isTransient = new Uint8Array(cluster.width);
    for (const name of names) {
      const dim = cluster.resources.known(name);
      if (dim !== undefined && dim < cluster.width) this.#isTransient[dim] = 1;
    }
    this.#held = new Float64Array(names.length === 0 ? 0 : cluster.size * cluster.width);
  }

  /** Books what a task holds at the home that it left (`sign` 1), or gives it back (-1). */
  hold({ dims, amounts }: Shape, home: number, sign: 1 | -1): void {
    if (this.#held.length === 0) return;
    for (const [at, dim] of dims.entries()) {
      if (this.#isTransient[dim] !== 1) continue;
      const index = home * this.#cluster.width + dim;
      this.#held[index] = (this.#held[index] ?? 0) + sign * (amounts[at] ?? 0);
    }
  }

  /** Is there room for the task beside what is held there? */
  leaveRoom({ dims, amounts }: Shape, node: number): boolean {
    if (this.#held.length === 0) return true;
    return dims.every((dim, at) => this.#spare(node, dim) >= (amounts[at] ?? 0));
  }

  /** Does the node bear what it runs and what is held there? */
  isWithin(node: number): boolean {
    if (this.#held.length === 0) return true;
    return this.#isTransient.every((_, dim) => this.#spare(node, dim) >= 0);
  }

  #spare(node: number, dim: number): number {
    const index = node * this.#cluster.width + dim;
    return (this.#cluster.free[index] ?? 0) - (this.#held[index] ?? 0);
  }
}
