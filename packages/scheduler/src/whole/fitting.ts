/**
 * How well tasks fit hosts, in shares: each resource counts by how scarce it is, so that processors and bytes compare.
 */

import type { Prng } from "@berth/base";
import { type DenseCluster, NONE } from "../dense/cluster.ts";
import type { Shape } from "../dense/shape.ts";
import type { Ask } from "../model.ts";
import { needsOf, WHOLE_MILLIS } from "../resources.ts";

/** Up to so many hosts all are looked at for a task; of more only some, for steps then bring more than looks. */
const LOOKS_ALL = 256;
const LOOKS_SOME = 64;

export class Fitting {
  readonly #cluster: DenseCluster;
  /** By resource: demand over capacity of the whole cluster, 0 for what nobody asks for or nobody limits. */
  readonly #weights: Float64Array;
  /** Empty hosts, the largest first. */
  readonly #bySize: readonly number[];
  /** Kinds of devices that are asked for, with their weights: each kind counts as one more resource. */
  readonly #kinds: readonly {
    readonly id: number;
    readonly name: string;
    readonly weight: number;
  }[];
  #emptyFrom = 0;
  readonly #needs: Float64Array[] = [];
  readonly #averages: number[] = [];

  constructor(cluster: DenseCluster, asks: readonly Ask[]) {
    this.#cluster = cluster;
    this.#weights = weightsOf(cluster, asks);
    this.#kinds = kindsOf(cluster, asks);
    const sizes = Array.from({ length: cluster.size }, (_, node) => this.#capacity(node));
    this.#bySize = [...sizes.keys()].sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0) || a - b);
  }

  /** Sum of shares of an average host. */
  sizeOf({ dims, amounts, devices }: Shape): number {
    let size = 0;
    for (let at = 0; at < dims.length; at++) {
      const dim = dims[at] ?? 0;
      size += ((this.#weights[dim] ?? 0) * (amounts[at] ?? 0)) / this.#average(dim);
    }
    for (const { count, shareMillis } of devices) size += (count * shareMillis) / 1_000;
    return size;
  }

  /** 0 (empty) and up: the weighted shares in use. */
  load(node: number): number {
    const { free, total, width } = this.#cluster;
    let load = 0;
    for (let dim = 0; dim < this.#weights.length; dim++) {
      const all = total[node * width + dim] ?? 0;
      const weight = this.#weights[dim] ?? 0;
      if (weight > 0 && all > 0) load += (weight * (all - (free[node * width + dim] ?? 0))) / all;
    }
    for (const { id, weight } of this.#kinds) {
      const { free: freeMillis, total: totalMillis } = this.#cluster.devices.sums(node, id);
      if (totalMillis > 0) load += (weight * (totalMillis - freeMillis)) / totalMillis;
    }
    return load;
  }

  /** Some of `nodes`: all, or so many drawn in a row from a random one. */
  candidates(nodes: readonly number[], prng: Prng): readonly number[] {
    if (nodes.length <= LOOKS_ALL) return nodes;
    const from = prng.int(0, nodes.length - 1);
    return Array.from({ length: LOOKS_SOME }, (_, at) => nodes[(from + at) % nodes.length] ?? 0);
  }

  /** The node of `nodes` with the least left over (weighted L2), or `NONE`. */
  best(shape: Shape, nodes: readonly number[], accepts: (node: number) => boolean): number {
    let best = NONE;
    let least = Number.POSITIVE_INFINITY;
    for (const node of nodes) {
      if (!this.#cluster.hasRoom(shape, node)) continue;
      const left = this.#leftOver(shape, node);
      if (left >= least || !accepts(node)) continue;
      best = node;
      least = left;
    }
    return best;
  }

  /** Hosts that had tasks are empty again. */
  startOver(): void {
    this.#emptyFrom = 0;
  }

  /** The largest host without tasks that will do, or `NONE`. */
  firstEmpty(shape: Shape, accepts: (node: number) => boolean): number {
    const { tasksOn } = this.#cluster;
    while (
      (tasksOn[this.#bySize[this.#emptyFrom] ?? 0] ?? 0) > 0 &&
      this.#emptyFrom < this.#bySize.length
    )
      this.#emptyFrom++;
    for (let at = this.#emptyFrom; at < this.#bySize.length; at++) {
      const node = this.#bySize[at] ?? 0;
      if ((tasksOn[node] ?? 0) === 0 && this.#cluster.hasRoom(shape, node) && accepts(node))
        return node;
    }
    // What is fixed may be on hosts that no movable task uses.
    for (const node of this.#bySize)
      if (this.#cluster.hasRoom(shape, node) && accepts(node)) return node;
    return NONE;
  }

  #leftOver(shape: Shape, node: number): number {
    const { free, total, width } = this.#cluster;
    const needs = this.#needsOf(shape);
    const base = node * width;
    let sum = 0;
    for (let dim = 0; dim < width; dim++) {
      const weight = this.#weights[dim] ?? 0;
      const all = total[base + dim] ?? 0;
      if (weight === 0 || all === 0) continue;
      const left = ((free[base + dim] ?? 0) - (needs[dim] ?? 0)) / all;
      sum += weight * left * left;
    }
    for (const { id, name, weight } of this.#kinds) {
      const { free: freeMillis, total: totalMillis } = this.#cluster.devices.sums(node, id);
      if (totalMillis === 0) continue;
      const left = (freeMillis - millisOf(shape, name)) / totalMillis;
      sum += weight * left * left;
    }
    return sum;
  }

  /** Amounts by resource, 0 for what is not asked for. */
  #needsOf({ id, dims, amounts }: Shape): Float64Array {
    const known = this.#needs[id];
    if (known !== undefined) return known;
    const needs = new Float64Array(this.#cluster.width);
    for (const [at, dim] of dims.entries()) needs[dim] = amounts[at] ?? 0;
    this.#needs[id] = needs;
    return needs;
  }

  #capacity(node: number): number {
    const { total, width } = this.#cluster;
    let capacity = 0;
    for (let dim = 0; dim < this.#weights.length; dim++) {
      const weight = this.#weights[dim] ?? 0;
      if (weight > 0) capacity += (weight * (total[node * width + dim] ?? 0)) / this.#average(dim);
    }
    return capacity;
  }

  #average(dim: number): number {
    const { total, width, size } = this.#cluster;
    this.#averages[dim] ??= sumOf(total, width, size, dim) / Math.max(1, size) || 1;
    return this.#averages[dim] ?? 1;
  }
}

function weightsOf(cluster: DenseCluster, asks: readonly Ask[]): Float64Array {
  const demand = new Float64Array(cluster.width);
  for (const ask of asks) {
    for (const { name, amount } of needsOf(ask.requests, {}).resources) {
      const dim = cluster.resources.known(name);
      if (dim !== undefined && dim < cluster.width) demand[dim] = (demand[dim] ?? 0) + amount;
    }
  }
  return demand.map((amount, dim) => {
    const all = sumOf(cluster.total, cluster.width, cluster.size, dim);
    return all === 0 || all === Number.POSITIVE_INFINITY ? 0 : amount / all;
  });
}

function kindsOf(cluster: DenseCluster, asks: readonly Ask[]) {
  const demand = new Map<string, number>();
  for (const { requests } of asks) {
    for (const { kind, count = 1, shareMillis = WHOLE_MILLIS } of requests.devices ?? []) {
      demand.set(kind, (demand.get(kind) ?? 0) + count * shareMillis);
    }
  }
  return [...demand].flatMap(([name, amount]) => {
    const id = cluster.devices.kinds.known(name);
    if (id === undefined) return [];
    let total = 0;
    for (let node = 0; node < cluster.size; node++) total += cluster.devices.sums(node, id).total;
    return [{ id, name, weight: amount / total }];
  });
}

function millisOf({ devices }: Shape, kind: string): number {
  let sum = 0;
  for (const each of devices) if (each.kind === kind) sum += each.count * each.shareMillis;
  return sum;
}

function sumOf(total: Float64Array, width: number, size: number, dim: number): number {
  let sum = 0;
  for (let node = 0; node < size; node++) sum += total[node * width + dim] ?? 0;
  return sum;
}
