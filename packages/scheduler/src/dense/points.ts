/**
 * How good a node is for an ask: whole points, the same words and weights as the scores of `../scores`.
 *
 * The part that depends on the shape and the node only (`own`) can be remembered until the node changes;
 * the other (`beside`) looks at the copies of services around it.
 */

import type { DeviceAssignment } from "../model.ts";
import { WHOLE_MILLIS } from "../resources.ts";
import { ROOM_SHARE } from "../scores/balanced-fit.ts";
import { PART } from "../scores/cheapest-fit.ts";
import { OUT } from "../tournament.ts";
import type { DenseCluster } from "./cluster.ts";
import { DevicePrices } from "./device-prices.ts";
import { Fragmentation } from "./fragmentation.ts";
import type { Mix } from "./mix.ts";
import type { Shape } from "./shape.ts";

/** What fragmentation counts beside regret: it decides where prices are nearly equal. Anything from 0.05 to 0.2 does. */
const FRAGMENTATION_SHARE = 0.1;
/** Thousandths of a device that are one point: finer scores scatter what should consolidate. */
const MILLIS_PER_POINT = 10;

export class Points {
  readonly #cluster: DenseCluster;
  #prices: DevicePrices;
  #fragmentation: Fragmentation | undefined;
  #highestCost = 0;
  /** By node, what `ownAgain` knows. */
  readonly #known: Float64Array;
  readonly #knownRoom: Int32Array;
  readonly #knownVersion: Uint32Array;

  constructor(cluster: DenseCluster) {
    this.#cluster = cluster;
    this.#known = new Float64Array(cluster.size);
    this.#knownRoom = new Int32Array(cluster.size).fill(-1);
    this.#knownVersion = new Uint32Array(cluster.size);
    this.#prices = new DevicePrices(new Map());
    for (const { model } of cluster.nodes) {
      this.#highestCost = Math.max(this.#highestCost, model.costPerHourMillis ?? 0);
    }
  }

  /** From now on devices are priced by this mix. */
  learn(mix: Mix): void {
    this.#knownRoom.fill(-1);
    this.#prices = new DevicePrices(mix.sizes);
    this.#fragmentation = new Fragmentation(this.#cluster, mix);
  }

  /** Devices that the node would give; `undefined` when it has not enough of them. */
  devices(shape: Shape, node: number): readonly DeviceAssignment[] | undefined {
    return this.#cluster.devices.choose(shape.devices, node, this.#prices)?.assignments;
  }

  /** Points by shape and node alone; `OUT` where there is no room. */
  own(shape: Shape, node: number): number {
    if (!this.#cluster.hasRoom(shape, node)) return OUT;
    const standing = shape.points?.[node] ?? 0;
    const choice = this.#cluster.devices.choose(shape.devices, node, this.#prices);
    if (choice === undefined) return OUT;
    if (this.#fragmentation === undefined)
      return standing + shape.fitWeight * this.#fit(shape, node);
    const added = this.#fragmentation.added(shape, node, choice.assignments);
    const cost = (choice.regret + FRAGMENTATION_SHARE * added) / MILLIS_PER_POINT;
    return standing - shape.fitWeight * Math.round(cost);
  }

  /**
   * The same as `own`, remembered by node for the room that was asked for last: copies of a service look at the
   * same nodes again and again, of which one has changed.
   */
  ownAgain(shape: Shape, node: number): number {
    const version = this.#cluster.changes.versions[node] ?? 0;
    if (this.#knownRoom[node] === shape.room && this.#knownVersion[node] === version)
      return this.#known[node] ?? OUT;
    const points = this.own(shape, node);
    this.#knownRoom[node] = shape.room;
    this.#knownVersion[node] = version;
    this.#known[node] = points;
    return points;
  }

  /** The most that `beside` can add. */
  besideMost(shape: Shape): number {
    return shape.attractions.reduce((sum, { weight }) => sum + Math.max(0, weight), 0);
  }

  /** Points by the copies of services around the node. */
  beside(shape: Shape, service: number, node: number): number {
    const cluster = this.#cluster;
    let points = 0;
    for (const { service: other, level, weight } of shape.attractions) {
      if (cluster.copiesNear(other, level, node) > 0) points += weight;
    }
    for (const { level, weight } of shape.evenness)
      points -= weight * cluster.copiesNear(service, level, node);
    if (shape.copyWeight > 0) points -= shape.copyWeight * cluster.copies.count(service, node);
    return points;
  }

  /** 0 to 100. */
  #fit(shape: Shape, node: number): number {
    switch (shape.strategy) {
      case "room":
        return Math.round(100 * (1 - this.#usedShare(shape, node)));
      case "balanced":
        return this.#balance(shape, node);
      case "cheapest":
        return this.#cheapness(shape, node);
      case "tightest":
        return Math.round(100 * this.#usedShare(shape, node));
    }
  }

  /** How full the node will be, over what the ask uses. */
  #usedShare(shape: Shape, node: number): number {
    const { dims, amounts, devices } = shape;
    let sum = 0;
    for (let at = 0; at < dims.length; at++)
      sum += this.#share(node, dims[at] ?? 0, amounts[at] ?? 0);
    for (const { kind, count, shareMillis } of devices)
      sum += this.#deviceShare(node, kind, count * shareMillis);
    const parts = dims.length + devices.length;
    return parts === 0 ? 0 : sum / parts;
  }

  #share(node: number, dim: number, amount: number): number {
    const { free, total, perUnit, width } = this.#cluster;
    const index = node * width + dim;
    const one = perUnit[index] ?? 0;
    if (one === 0) return 0;
    const share = ((total[index] ?? 0) - (free[index] ?? 0) + amount) * one;
    return Math.min(share, 1);
  }

  #deviceShare(node: number, kind: string, amount: number): number {
    const { start, kindOf, free, kinds } = this.#cluster.devices;
    const id = kinds.known(kind);
    let all = 0;
    let used = amount;
    for (let at = start[node] ?? 0; at < (start[node + 1] ?? 0); at++) {
      if (kindOf[at] !== id) continue;
      all += WHOLE_MILLIS;
      used += WHOLE_MILLIS - (free[at] ?? 0);
    }
    return all === 0 ? 0 : Math.min(1, used / all);
  }

  #balance(shape: Shape, node: number): number {
    const amountOf = (dim: number) => shape.amounts[shape.dims.indexOf(dim)] ?? 0;
    const room = 1 - this.#usedShare(shape, node);
    const gap = this.#share(node, 0, amountOf(0)) - this.#share(node, 1, amountOf(1));
    return Math.round(100 * (ROOM_SHARE * room + (1 - ROOM_SHARE) * (1 - Math.abs(gap))));
  }

  #cheapness(shape: Shape, node: number): number {
    const price = this.#cluster.nodes[node]?.model.costPerHourMillis ?? 0;
    const inUse = (this.#cluster.tasksOn[node] ?? 0) > 0 ? PART.inUse : 0;
    const cheap = this.#highestCost === 0 ? 1 : 1 - price / this.#highestCost;
    return Math.round(inUse + PART.price * cheap + PART.fit * this.#usedShare(shape, node));
  }
}
