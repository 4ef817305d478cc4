/**
 * What usual asks look like: learned from a sample or from the asks that came so far, so that what is left over
 * stays useful for the ones to come.
 */

import type { Requests } from "../model.ts";
import { type DeviceNeed, needsOf } from "../resources.ts";
import type { SizeDemand } from "./cutting-stock.ts";

/** Asks of equal requests, with how often they come (0 to 1). */
export interface UsualAsk {
  readonly resources: readonly { readonly name: string; readonly amount: number }[];
  readonly device: DeviceNeed | undefined;
  readonly share: number;
}

export interface Mix {
  /** The most frequent ones that want a device; their shares add up to at most 1. */
  readonly usual: readonly UsualAsk[];
  /** By kind of device. */
  readonly sizes: ReadonlyMap<string, readonly SizeDemand[]>;
}

/** Beyond these an ask is too rare to keep room for; each costs time in every score. */
const USUAL_MAX = 40;

/** Counts asks by their requests. */
export class MixCounter {
  readonly #counts = new Map<string, { readonly requests: Requests; count: number }>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(requests: Requests): void {
    const key = JSON.stringify(requests);
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { requests, count: 1 });
    else known.count++;
    this.#total++;
  }

  /** O(kinds of asks log kinds). The same for any order of adding. */
  mix(): Mix {
    const sorted = [...this.#counts].sort(
      ([a, { count: x }], [b, { count: y }]) => y - x || (a < b ? -1 : 1),
    );
    const usual: UsualAsk[] = [];
    const sizes = new Map<string, Map<number, number>>();
    for (const [, { requests, count }] of sorted) {
      const needs = needsOf(requests, {});
      for (const { kind, shareMillis, count: devices } of needs.devices) {
        const ofKind = sizes.get(kind) ?? new Map<number, number>();
        sizes.set(kind, ofKind);
        ofKind.set(shareMillis, (ofKind.get(shareMillis) ?? 0) + count * devices);
      }
      const [device] = needs.devices;
      if (device === undefined || usual.length >= USUAL_MAX) continue;
      usual.push({ resources: needs.resources, device, share: count / this.#total });
    }
    return { usual, sizes: new Map([...sizes].map(([kind, ofKind]) => [kind, demands(ofKind)])) };
  }
}

function demands(ofKind: ReadonlyMap<number, number>): readonly SizeDemand[] {
  return [...ofKind]
    .filter(([, demand]) => demand > 0)
    .map(([size, demand]) => ({ size, demand }))
    .sort((a, b) => a.size - b.size);
}
