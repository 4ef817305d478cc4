/**
 * The rules that look at other tasks: neighbours wanted and avoided in both directions, copies on one node, spread.
 *
 * Who is avoided is kept by service: what one copy of a service refuses, all of its copies refuse.
 */

import type { RuleName } from "../plan.ts";
import type { DenseCluster } from "./cluster.ts";
import { NODE_LEVEL } from "./levels.ts";
import type { Shape, Towards } from "./shape.ts";

/** The rules of this file. */
export type NeighbourRule = Extract<
  RuleName,
  "affinity" | "anti-affinity" | "max-per-node" | "spread"
>;

interface Avoider extends Towards {
  readonly max: number;
}

/** The fewest copies of a service in a usable domain, and what it was found for. */
interface Fewest {
  changes: number;
  room: number;
  level: number;
  service: number;
  fewest: number;
}

/** More services than any trace names; shape and service stay an exact number together. */
const SERVICES_MAX = 2 ** 28;

export class NeighbourRules {
  readonly #cluster: DenseCluster;
  /** By service, who bears only so many copies of it. */
  readonly #avoiders: (Avoider[] | undefined)[] = [];
  /** Shape and service in one number. */
  readonly #known = new Set<number>();
  /** By room and level: 1 for domains with a node that could take it. Void once a node was turned. */
  #usable: ((Uint8Array | undefined)[] | undefined)[] = [];
  /** What `#fewest` found last: many nodes are asked about between two changes. */
  readonly #last: Fewest = { changes: -1, room: -1, level: -1, service: -1, fewest: 0 };

  constructor(cluster: DenseCluster) {
    this.#cluster = cluster;
  }

  /** Makes the ask's distances known to those whom they concern. Called before its service's first copy. */
  declare(shape: Shape, service: number): void {
    if (shape.apart.length === 0) return;
    const key = shape.id * SERVICES_MAX + service;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    for (const { service: other, level, max } of shape.apart) {
      const list = this.#avoiders[other] ?? [];
      this.#avoiders[other] = list;
      list.push({ service, level, max });
    }
  }

  /** Readiness of a node has changed. */
  forgetUsable(): void {
    this.#usable = [];
    this.#last.changes = -1;
  }

  /** Does any rule of the ask look at other tasks? */
  concerns(shape: Shape, service: number): boolean {
    return shape.looksAtServices || this.#avoiders[service] !== undefined;
  }

  /** The first rule that refuses the node, or `undefined`. */
  refusal(shape: Shape, service: number, node: number): NeighbourRule | undefined {
    const cluster = this.#cluster;
    for (const wanted of shape.near) if (!this.#isNear(wanted, service, node)) return "affinity";
    for (const { service: other, level, max } of shape.apart) {
      if (cluster.copiesNear(other, level, node) > max) return "anti-affinity";
    }
    if (this.#isAvoided(service, node)) return "anti-affinity";
    if (cluster.copies.count(service, node) >= shape.maxPerNode) return "max-per-node";
    for (const spread of shape.spreads) {
      if (this.#isCrowded(shape, spread, service, node)) return "spread";
    }
    return undefined;
  }

  /**
   * Does a rule of the ask refuse every node of the domain, because of the neighbours there? Only what the level
   * itself decides: nodes may be refused for more. `domain` may be one beyond the last, for nodes that lie in none.
   */
  isClosed(shape: Shape, service: number, level: number, domain: number): boolean {
    const cluster = this.#cluster;
    for (const { service: other, level: wanted } of shape.near) {
      if (wanted !== level || other === service) continue;
      if ((cluster.domainCounts(other, level)[domain] ?? 0) === 0) return true;
    }
    for (const { level: spread, maxSkew } of shape.spreads) {
      if (spread !== level) continue;
      const counts = cluster.domainCounts(service, level);
      if (domain >= counts.length) return true;
      const own = counts[domain] ?? 0;
      if (own + 1 <= maxSkew) continue;
      if (own + 1 - this.#fewest(shape, level, service, own) > maxSkew) return true;
    }
    return false;
  }

  #isNear({ service: other, level }: Towards, service: number, node: number): boolean {
    const cluster = this.#cluster;
    if (cluster.copiesNear(other, level, node) > 0) return true;
    // A service that wants to be near itself may begin anywhere.
    if (other !== service) return false;
    if (level === NODE_LEVEL) return cluster.firstOfService(service) < 0;
    return cluster.domainCounts(service, level).every((count) => count === 0);
  }

  #isAvoided(service: number, node: number): boolean {
    const cluster = this.#cluster;
    for (const { service: other, level, max } of this.#avoiders[service] ?? []) {
      if (cluster.copiesNear(other, level, node) === 0) continue;
      const beside = cluster.copiesNear(service, level, node) + (other === service ? 0 : 1);
      if (beside > max) return true;
    }
    return false;
  }

  #isCrowded(
    shape: Shape,
    { level, maxSkew }: { readonly level: number; readonly maxSkew: number },
    service: number,
    node: number,
  ): boolean {
    const at = this.#cluster.levels.at(level);
    const domain = at.domainOf[node] ?? -1;
    if (domain < 0) return true;
    const own = this.#cluster.domainCounts(service, level)[domain] ?? 0;
    // Nothing is emptier than 0: no need to look.
    if (own + 1 <= maxSkew) return false;
    return own + 1 - this.#fewest(shape, level, service, own) > maxSkew;
  }

  /** Copies in the usable domain that has the fewest; `own` where that is not more, or none is usable. O(domains) after a change. */
  #fewest(shape: Shape, level: number, service: number, own: number): number {
    const last = this.#last;
    const { count } = this.#cluster.changes;
    const isKnown =
      last.changes === count &&
      last.room === shape.room &&
      last.level === level &&
      last.service === service;
    if (!isKnown) {
      const counts = this.#cluster.domainCounts(service, level);
      const usable = this.#usableDomains(shape, level);
      let fewest = Number.POSITIVE_INFINITY;
      for (let each = 0; each < counts.length; each++) {
        if (usable[each] === 1 && (counts[each] ?? 0) < fewest) fewest = counts[each] ?? 0;
      }
      last.changes = count;
      last.room = shape.room;
      last.level = level;
      last.service = service;
      last.fewest = fewest;
    }
    return Math.min(own, last.fewest);
  }

  #usableDomains(shape: Shape, level: number): Uint8Array {
    const ofRoom = this.#usable[shape.room] ?? [];
    this.#usable[shape.room] = ofRoom;
    const known = ofRoom[level];
    if (known !== undefined) return known;
    const { domainOf, domains } = this.#cluster.levels.at(level);
    const usable = new Uint8Array(domains);
    domainOf.forEach((domain, node) => {
      if (domain >= 0 && this.#cluster.usable[node] === 1 && shape.standing[node] === 0)
        usable[domain] = 1;
    });
    ofRoom[level] = usable;
    return usable;
  }
}
