/**
 * The tasks of one service: all of them, how many stay on each node, and how many lie in each domain.
 *
 * Invariant: `copies` and the counts are those of `tasks`; tasks of unknown nodes are only in `tasks`.
 * Cost: O(levels asked) for a change.
 */

import { type ByDomain, DomainCounts } from "./domain-counts.ts";
import type { Held } from "./held.ts";
import type { NodeModel } from "./model.ts";

export class ServiceTasks {
  /** Leaving ones included; the order carries no meaning. */
  readonly tasks: Held[] = [];
  /** Copies that stay, by the place of their node; nodes without any have no entry. */
  readonly copies = new Map<number, number>();
  readonly #staying = new DomainCounts();
  readonly #present = new DomainCounts();
  readonly #modelOf: (id: string) => NodeModel | undefined;

  constructor(modelOf: (id: string) => NodeModel | undefined) {
    this.#modelOf = modelOf;
  }

  add(task: Held): void {
    task.inService = this.tasks.push(task) - 1;
  }

  remove(task: Held): void {
    const last = this.tasks.pop();
    if (last === undefined || last === task) return;
    this.tasks[task.inService] = last;
    last.inService = task.inService;
  }

  /** The task came to a known node or left it. */
  count(task: Held, place: number, node: NodeModel, sign: 1 | -1): void {
    this.#present.change(node, sign);
    if (task.leaving) return;
    this.#staying.change(node, sign);
    const copies = (this.copies.get(place) ?? 0) + sign;
    if (copies === 0) this.copies.delete(place);
    else this.copies.set(place, copies);
  }

  /** Copies that stay, by domain. */
  staying(level: string): ByDomain {
    return this.#staying.of(level, () => this.#nodes((task) => !task.leaving));
  }

  /** All tasks, leaving ones included, by domain. */
  present(level: string): ByDomain {
    return this.#present.of(level, () => this.#nodes(() => true));
  }

  *#nodes(counts: (task: Held) => boolean): Iterable<NodeModel> {
    for (const task of this.tasks) {
      const node = counts(task) ? this.#modelOf(task.node) : undefined;
      if (node !== undefined) yield node;
    }
  }
}
