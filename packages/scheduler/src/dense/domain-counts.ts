/** Copies of a service by domain of a level, for the pairs that some rule has asked about. */

import type { Level, Levels } from "./levels.ts";

interface Counted {
  readonly level: Level;
  readonly counts: Int32Array;
}

export class DomainCounts {
  readonly #levels: Levels;
  /** By service, then by level. */
  readonly #byService: (Map<number, Counted> | undefined)[] = [];

  constructor(levels: Levels) {
    this.#levels = levels;
  }

  /** `visit` calls its argument with the node of each copy; it is used the first time only. */
  of(service: number, level: number, visit: (count: (node: number) => void) => void): Int32Array {
    const counted = this.#byService[service] ?? new Map<number, Counted>();
    this.#byService[service] = counted;
    const known = counted.get(level);
    if (known !== undefined) return known.counts;
    const at = this.#levels.at(level);
    const counts = new Int32Array(at.domains);
    visit((node) => addTo({ level: at, counts }, node, 1));
    counted.set(level, { level: at, counts });
    return counts;
  }

  add(service: number, node: number, by: number): void {
    const counted = this.#byService[service];
    if (counted === undefined) return;
    for (const each of counted.values()) addTo(each, node, by);
  }
}

function addTo({ level, counts }: Counted, node: number, by: number): void {
  const domain = level.domainOf[node] ?? -1;
  if (domain >= 0) counts[domain] = (counts[domain] ?? 0) + by;
}
