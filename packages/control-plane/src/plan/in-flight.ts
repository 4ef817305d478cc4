/**
 * What was sent to the store and does not show in the view yet: room on nodes and ranges of addresses that
 * plans of other stacks must not give away a second time.
 *
 * The store's conditions keep each key consistent; room on a node is no key. With one leader, whose plans
 * all look here, a node is never promised twice.
 */

import type { Task } from "@berth/protocol";

interface Flight {
  readonly tasks: readonly Task[];
  readonly subnets: readonly string[];
}

export class InFlight {
  readonly #flights = new Set<Flight>();

  /** Holds tasks and subnets until the returned function is called: they show in the view, or failed. */
  add(tasks: readonly Task[], subnets: readonly string[]): () => void {
    const flight = { tasks, subnets };
    this.#flights.add(flight);
    return () => this.#flights.delete(flight);
  }

  tasks(): Task[] {
    return [...this.#flights].flatMap((flight) => flight.tasks);
  }

  subnets(): string[] {
    return [...this.#flights].flatMap((flight) => flight.subnets);
  }
}
