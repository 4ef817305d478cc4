/**
 * The rules that look at other tasks: neighbours wanted and avoided in both directions, copies on one node, spread.
 *
 * Who is avoided is kept by service: what one copy of a service refuses, all of its copies refuse.
 */

import type { RuleName } from "../plan.ts";
import type { DenseCluster } from "./cluster.ts";
import { NODE_LEVEL } from "./levels.ts";
import type { Shape, Towards } from "./shape.ts";

interface Avoider extends Towards {
  readonly max: number;
}

export class NeighbourRules {
  readonly #cluster: DenseCluster;
  /** By service, who bears only so many copies of it. */
  readonly #avoiders: (Avoider[] | undefined)[] = [];
  readonly #known = new Set<string>();
  /** By shape and level: 1 for domains with a node that could take it. Void once a node was turned. */
  readonly #usable = new Map<string, Uint8Array>();

  constructor(cluster: DenseCluster) {
    this.#cluster = cluster;
  }

  /** Makes the ask's distances known to those whom they concern. Called before its service's first copy. */
  declare(shape: Shape, service: number): void {
    if (shape.apart.length === 0) return;
    const key = `${shape.id} ${service}`;
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
    this.#usable.clear();
  }

  /** Does any rule of the ask look at other tasks? */
  concerns(shape: Shape, service: number): boolean {
    return shape.looksAtServices || this.#avoiders[service] !== undefined;
  }

  /** The first rule that refuses the node, or `undefined`. */
  refusal(shape: Shape, service: number, node: number): RuleName | undefined {
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
    const counts = this.#cluster.domainCounts(service, level);
    const own = counts[domain] ?? 0;
    // Nothing is emptier than 0: no need to look.
    if (own + 1 <= maxSkew) return false;
    const usable = this.#usableDomains(shape, level);
    let fewest = own;
    for (let each = 0; each < counts.length; each++) {
      if (usable[each] === 1 && (counts[each] ?? 0) < fewest) fewest = counts[each] ?? 0;
    }
    return own + 1 - fewest > maxSkew;
  }

  #usableDomains(shape: Shape, level: number): Uint8Array {
    const key = `${shape.id} ${level}`;
    const known = this.#usable.get(key);
    if (known !== undefined) return known;
    const { domainOf, domains } = this.#cluster.levels.at(level);
    const usable = new Uint8Array(domains);
    domainOf.forEach((domain, node) => {
      if (domain >= 0 && this.#cluster.usable[node] === 1 && shape.standing[node] === 0)
        usable[domain] = 1;
    });
    this.#usable.set(key, usable);
    return usable;
  }
}
