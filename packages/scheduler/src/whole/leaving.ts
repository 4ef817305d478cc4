/**
 * May a task leave its node? The rules that a departure can break: somebody needs it near, its service's spread, and
 * the fewest domains that the service must lie in. Asked with the task taken away and put where it goes.
 */

import type { DenseCluster } from "../dense/cluster.ts";
import type { Shape } from "../dense/shape.ts";

interface Wanter {
  /** The service that wants the other near. */
  readonly service: number;
  readonly level: number;
}

export class Leaving {
  readonly #cluster: DenseCluster;
  /** By service, who wants to be near it. */
  readonly #wanters: (Wanter[] | undefined)[] = [];
  readonly #leastDomains: (ReadonlyMap<number, number> | undefined)[] = [];
  readonly #declared = new Set<string>();

  constructor(cluster: DenseCluster) {
    this.#cluster = cluster;
  }

  /** `minDomains`: the fewest domains of the service, by the name of the level. */
  declare(shape: Shape, service: number, minDomains: ReadonlyMap<string, number>): void {
    const key = `${shape.id} ${service}`;
    if (this.#declared.has(key)) return;
    this.#declared.add(key);
    for (const { service: other, level } of shape.near) {
      const list = this.#wanters[other] ?? [];
      this.#wanters[other] = list;
      list.push({ service, level });
    }
    if (minDomains.size === 0) return;
    const levels = [...minDomains].map(
      ([name, least]) => [this.#cluster.levels.idOf(name), least] as const,
    );
    this.#leastDomains[service] = new Map(levels);
  }

  /** Nothing is broken by a task of the service that went from `from` to `to`, where it is now. */
  mayHaveLeft(shape: Shape, service: number, from: number, to: number): boolean {
    for (const { service: wanter, level } of this.#wanters[service] ?? []) {
      const isWanted = this.#cluster.copiesNear(wanter, level, from) > 0;
      if (isWanted && this.#cluster.copiesNear(service, level, from) === 0) return false;
    }
    for (const { level, maxSkew } of shape.spreads) {
      if (this.#isUneven(service, level, maxSkew, from)) return false;
    }
    for (const [level, least] of this.#leastDomains[service] ?? []) {
      if (!this.#liesInEnough(service, level, least, from, to)) return false;
    }
    return true;
  }

  /** The domain that was left is now the emptiest, and another has too many more. */
  #isUneven(service: number, level: number, maxSkew: number, from: number): boolean {
    const counts = this.#cluster.domainCounts(service, level);
    const left = counts[this.#cluster.levels.at(level).domainOf[from] ?? -1];
    return left !== undefined && counts.some((count) => count - left > maxSkew);
  }

  #liesInEnough(service: number, level: number, least: number, from: number, to: number): boolean {
    const counts = this.#cluster.domainCounts(service, level);
    const { domainOf } = this.#cluster.levels.at(level);
    const isGone = (counts[domainOf[from] ?? -1] ?? 0) === 0;
    const isNew = counts[domainOf[to] ?? -1] === 1;
    // As many domains as before: not worse, even where there were too few.
    if (!isGone || isNew) return true;
    return counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0) >= least;
  }
}
