/**
 * How much a project may hold, and what it holds: asked before asks go to the scheduler.
 *
 * A copy counts once, whatever tasks it has: while a new task takes over from an old one it counts as the larger of the
 * two, so that a full quota does not stand in the way of replacing what is there. Amounts are requests, not use.
 * Cost: O(resources + tasks of the copy) for each change.
 */

import type { Requests } from "./model.ts";
import type { Unit } from "./plan.ts";
import { formatQuantity } from "./quantity.ts";
import { unitOf } from "./resources.ts";

/** Limits of a project; what is absent has none. */
export interface Quota {
  /** Thousandths of a processor. */
  readonly cpuMillis?: number;
  readonly memoryBytes?: number;
  /** Copies, whatever they ask for. */
  readonly tasks?: number;
  /** Other countable resources (devices among them) by name. */
  readonly resources?: Readonly<Record<string, number>>;
}

/** Why a copy may not start: the first limit, in the order of `Quota`, that it would go over. */
export interface QuotaExcess {
  /** `cpu`, `memory`, `tasks`, or the name of a resource. */
  readonly about: string;
  readonly used: number;
  /** What it would add. */
  readonly asked: number;
  readonly limit: number;
  readonly unit: Unit;
}

/** A task of a copy, or an ask for one. */
export interface QuotaHolder {
  /** Its own; unique. */
  readonly id: string;
  /** The copy, whose tasks count together: service and slot. */
  readonly copy: string;
  readonly requests: Requests;
}

type Amounts = ReadonlyMap<string, number>;

/** What one project holds. */
export class QuotaBook {
  readonly #limits: readonly (readonly [string, number])[];
  /** By copy, then by task. */
  readonly #held = new Map<string, Map<string, Amounts>>();
  readonly #copyOf = new Map<string, string>();
  readonly #used = new Map<string, number>();

  constructor({ cpuMillis, memoryBytes, tasks, resources = {} }: Quota) {
    const named = Object.keys(resources).sort();
    this.#limits = [
      ["cpu", cpuMillis] as const,
      ["memory", memoryBytes] as const,
      ["tasks", tasks] as const,
      ...named.map((name) => [name, resources[name]] as const),
    ].flatMap(([name, limit]) => (limit === undefined ? [] : [[name, limit] as const]));
  }

  /** Holds of a limited resource, by the names of `QuotaExcess.about`. */
  used(about: string): number {
    return this.#used.get(about) ?? 0;
  }

  /** Counts it, also beyond the limits: what runs, runs. An id that is counted already stays as it is. */
  hold({ id, copy, requests }: QuotaHolder): void {
    if (this.#copyOf.has(id)) return;
    this.#copyOf.set(id, copy);
    const tasks = this.#held.get(copy) ?? new Map<string, Amounts>();
    this.#held.set(copy, tasks);
    this.#change(tasks, () => tasks.set(id, amountsOf(requests)));
  }

  /** Counts it no more; nothing happens where it was not counted. */
  release(id: string): void {
    const copy = this.#copyOf.get(id);
    const tasks = copy === undefined ? undefined : this.#held.get(copy);
    if (copy === undefined || tasks === undefined) return;
    this.#copyOf.delete(id);
    this.#change(tasks, () => tasks.delete(id));
    if (tasks.size === 0) this.#held.delete(copy);
  }

  /** Holds all of them, or none and says why: a limit that is exceeded already stops only what adds to it. */
  admit(holders: readonly QuotaHolder[]): QuotaExcess | undefined {
    const before = new Map(this.#used);
    for (const holder of holders) this.hold(holder);
    for (const [about, limit] of this.#limits) {
      const used = before.get(about) ?? 0;
      const asked = this.used(about) - used;
      if (asked <= 0 || used + asked <= limit) continue;
      for (const { id } of holders) this.release(id);
      return { about, used, asked, limit, unit: unitOf(about) };
    }
    return undefined;
  }

  #change(tasks: ReadonlyMap<string, Amounts>, change: () => void): void {
    const before = largest(tasks);
    change();
    const after = largest(tasks);
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const grown = (after.get(name) ?? 0) - (before.get(name) ?? 0);
      if (grown !== 0) this.#used.set(name, this.used(name) + grown);
    }
  }
}

function amountsOf({ cpuMillis = 0, memoryBytes = 0, resources = {} }: Requests): Amounts {
  return new Map([
    ["cpu", cpuMillis],
    ["memory", memoryBytes],
    ["tasks", 1],
    ...Object.entries(resources),
  ]);
}

function largest(tasks: ReadonlyMap<string, Amounts>): Amounts {
  const most = new Map<string, number>();
  for (const amounts of tasks.values()) {
    for (const [name, amount] of amounts) most.set(name, Math.max(most.get(name) ?? 0, amount));
  }
  return most;
}

/** `quota memory of project shop: 3 GiB used, 2 GiB asked, limit 4 GiB`. */
export function explainQuota(excess: QuotaExcess, project: string): string {
  const { about, used, asked, limit, unit } = excess;
  const words = (amount: number) => (amount === 0 ? "none" : formatQuantity(amount, unit));
  return `quota ${about} of project ${project}: ${words(used)} used, ${words(asked)} asked, limit ${words(limit)}`;
}
