/**
 * What rebalancing makes smaller: use above the soft limits where hosts have some, else unevenness.
 *
 * Both are sums over hosts and resources of a convex function, so what an even distribution would cost is a lower
 * bound for every distribution (Jensen): the distance from the optimum is at most the distance from it.
 * Every resource counts alike: amounts are divided by what an average host has.
 */

import type { DenseCluster } from "../dense/cluster.ts";
import type { Shape } from "../dense/shape.ts";

export class Objective {
  readonly name: "overload" | "unevenness";
  readonly #cluster: DenseCluster;
  /** By node and resource: the limit above which use costs; capacity where none is stated. */
  readonly #soft: Float64Array;
  /** By resource, what an average host has; 0 for what does not count. */
  readonly #average: Float64Array;
  readonly #width: number;

  /** `soft`: limits by resource name, by node; empty for hosts without. */
  constructor(cluster: DenseCluster, soft: readonly Readonly<Record<string, number>>[]) {
    this.#cluster = cluster;
    this.#width = cluster.width;
    this.name = soft.some((limits) => Object.keys(limits).length > 0) ? "overload" : "unevenness";
    this.#soft = Float64Array.from(cluster.total);
    for (const [node, limits] of soft.entries()) {
      for (const [name, limit] of Object.entries(limits)) {
        const dim = cluster.resources.known(name);
        if (dim !== undefined && dim < this.#width) this.#soft[node * this.#width + dim] = limit;
      }
    }
    this.#average = Float64Array.from({ length: this.#width }, (_, dim) => {
      const sum = this.#sum(cluster.total, dim);
      return sum === Number.POSITIVE_INFINITY ? 0 : sum / Math.max(1, cluster.size);
    });
  }

  /** The whole cost as it is now. O(nodes × resources). */
  value(): number {
    let value = 0;
    for (let node = 0; node < this.#cluster.size; node++) value += this.costOf(node);
    return value;
  }

  /** No distribution of what runs costs less. */
  lowerBound(): number {
    let bound = 0;
    for (let dim = 0; dim < this.#width; dim++) {
      const average = this.#average[dim] ?? 0;
      if (average === 0) continue;
      const total = this.#sum(this.#cluster.total, dim);
      const used = total - this.#sum(this.#cluster.free, dim);
      if (this.name === "unevenness") bound += (used * used) / total / average;
      else bound += Math.max(0, used - this.#sum(this.#soft, dim)) / average;
    }
    return bound;
  }

  /** Cost of a node as it is. O(resources). */
  costOf(node: number): number {
    let cost = 0;
    for (let dim = 0; dim < this.#width; dim++) cost += this.#cost(node, dim, 0);
    return cost;
  }

  /** By how much the cost of a node grows with a task more (`sign` 1) or less (-1). O(resources of the task). */
  growth(node: number, { dims, amounts }: Shape, sign: 1 | -1): number {
    let growth = 0;
    for (let at = 0; at < dims.length; at++) {
      const dim = dims[at] ?? 0;
      growth += this.#cost(node, dim, sign * (amounts[at] ?? 0)) - this.#cost(node, dim, 0);
    }
    return growth;
  }

  /** By how much the cost grows when one task comes and another goes. */
  growthOfExchange(node: number, comes: Shape, goes: Shape): number {
    let growth = 0;
    for (let dim = 0; dim < this.#width; dim++) {
      const change = amountOf(comes, dim) - amountOf(goes, dim);
      if (change !== 0) growth += this.#cost(node, dim, change) - this.#cost(node, dim, 0);
    }
    return growth;
  }

  #cost(node: number, dim: number, more: number): number {
    const average = this.#average[dim] ?? 0;
    if (average === 0) return 0;
    const index = node * this.#width + dim;
    const all = this.#cluster.total[index] ?? 0;
    const used = all - (this.#cluster.free[index] ?? 0) + more;
    if (this.name === "overload") return Math.max(0, used - (this.#soft[index] ?? 0)) / average;
    return all > 0 ? (used * used) / all / average : 0;
  }

  #sum(values: Float64Array, dim: number): number {
    let sum = 0;
    for (let at = dim; at < values.length; at += this.#width) sum += values[at] ?? 0;
    return sum;
  }
}

/** Shapes list their resources in the order of the names, mostly at the place of their number. */
function amountOf({ dims, amounts }: Shape, dim: number): number {
  const at = dims[dim] === dim ? dim : dims.indexOf(dim);
  return at < 0 ? 0 : (amounts[at] ?? 0);
}
