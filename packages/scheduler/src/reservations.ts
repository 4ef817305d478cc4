/**
 * Keeps large asks from starving: one that waited long enough gets a node of its own choice, on which nobody of the same
 * or a lower priority is placed any more until it fits there.
 *
 * Small asks always find a gap that is too small for a large one, so where room comes back bit by bit the large one
 * waits for ever. What is held for it is a task that is not there: all that the ask requests, on the node where the
 * least is missing of what an empty node could give. Held for a few asks at a time, the longest waiting first, and
 * only for asks that stand alone: of a gang or pod nobody knows which node would do. Who asks is told apart by service
 * and slot. Time comes in with each call. Cost: O(nodes × rules) for an ask that gets a node, else O(held).
 */

import { PRIORITY_DEFAULT } from "./batch.ts";
import { compareText } from "./cluster-state.ts";
import type { Ask } from "./model.ts";
import type { SchedulePlan } from "./plan.ts";
import type { Transaction } from "./transaction.ts";

/** When and for how many. */
export interface ReservationLimits {
  /** Who waited so long gets a node. */
  readonly afterMs: number;
  /** Nodes that are held at a time, at most. */
  readonly heldMax: number;
  /** Who did not ask for so long does not want a place any more. */
  readonly forgetAfterMs: number;
}

export const RESERVATION_LIMITS: ReservationLimits = {
  // Longer than a rollout needs to give back what it holds twice.
  afterMs: 120_000,
  // Each takes a node out of the game while it waits.
  heldMax: 4,
  forgetAfterMs: 900_000,
};

/** Asks that are remembered while they wait: of more the newest age from later on. */
const WAITING_MAX = 10_000;

interface Waiting {
  ask: Ask;
  readonly sinceMs: number;
  seenMs: number;
  /** What is held for it. */
  node: string | undefined;
}

export class Reservations {
  readonly #limits: ReservationLimits;
  readonly #keyOf: (ask: Ask) => string;
  readonly #waiting = new Map<string, Waiting>();

  /** `keyOf`: equal for the asks of one copy, whatever their identifiers. */
  constructor(limits: ReservationLimits = RESERVATION_LIMITS, keyOf = serviceAndSlot) {
    this.#limits = limits;
    this.#keyOf = keyOf;
  }

  /** Nodes that are held, by service and slot of whom they are held for (`shop/web#3`). */
  get held(): ReadonlyMap<string, string> {
    const held = [...this.#waiting].flatMap(([key, { node }]) =>
      node === undefined ? [] : [[key, node] as const],
    );
    return new Map(held);
  }

  /**
   * Decides as the transaction does, those for whom something is held first and the others beside that; then ages,
   * gives and takes reservations.
   */
  schedule(transaction: Transaction, asks: readonly Ask[], nowMs: number): SchedulePlan {
    this.#forget(nowMs);
    const own = new Map(asks.map((ask) => [ask.id, ask]));
    const priority = Math.max(...asks.map(priorityOf));
    const isFirst = (ask: Ask) => {
      const held = this.#waiting.get(this.#keyOf(ask));
      return held?.node !== undefined && priorityOf(ask) >= priority;
    };
    const turns = [...asks.filter(isFirst).map((ask) => [ask]), asks.filter((a) => !isFirst(a))];
    const plans = turns.flatMap((turn) =>
      turn.length === 0 ? [] : [this.#beside(transaction, turn)],
    );
    const placements = plans.flatMap((plan) => plan.placements);
    const refusals = plans.flatMap((plan) => plan.refusals);
    for (const { ask } of refusals) this.#note(own.get(ask), nowMs);
    this.#give(transaction, nowMs);
    return { placements, refusals };
  }

  /** Decides beside what is held for others of the same or a higher priority. */
  #beside(transaction: Transaction, asks: readonly Ask[]): SchedulePlan {
    const keys = new Set(asks.map(this.#keyOf));
    const priority = Math.max(...asks.map(priorityOf));
    const standIns = [...this.#waiting].flatMap(([key, { ask, node }]) => {
      if (node === undefined || keys.has(key) || priorityOf(ask) < priority) return [];
      const { service, requests } = ask;
      return [{ id: `held for ${key}`, service, requests, node, leaving: true }];
    });
    for (const task of standIns) transaction.apply(task);
    const plan = transaction.schedule(asks);
    for (const { id } of standIns) transaction.release(id);
    if (this.#waiting.size === 0) return plan;
    const placed = new Set(plan.placements.map(({ ask }) => ask));
    for (const ask of asks) if (placed.has(ask.id)) this.#waiting.delete(this.#keyOf(ask));
    return plan;
  }

  #note(ask: Ask | undefined, nowMs: number): void {
    if (ask === undefined || ask.gang !== undefined || ask.pod !== undefined) return;
    const key = this.#keyOf(ask);
    const known = this.#waiting.get(key);
    if (known !== undefined) Object.assign(known, { ask, seenMs: nowMs });
    else if (this.#waiting.size < WAITING_MAX) {
      this.#waiting.set(key, { ask, sinceMs: nowMs, seenMs: nowMs, node: undefined });
    }
  }

  #forget(nowMs: number): void {
    for (const [key, { seenMs }] of this.#waiting) {
      if (nowMs - seenMs > this.#limits.forgetAfterMs) this.#waiting.delete(key);
    }
  }

  /** The longest waiting get a node each; one that will not do any more is given up for another. */
  #give(transaction: Transaction, nowMs: number): void {
    const aged = [...this.#waiting]
      .filter(([, { sinceMs }]) => nowMs - sinceMs >= this.#limits.afterMs)
      .sort(([a, one], [b, two]) => one.sinceMs - two.sinceMs || compareText(a, b))
      .slice(0, this.#limits.heldMax);
    const taken = new Set<string>();
    for (const [, waiting] of aged) {
      const { ask, node } = waiting;
      const keeps = node !== undefined && !taken.has(node) && transaction.lacksRoomOnly(ask, node);
      if (!keeps) waiting.node = transaction.nearest(ask, taken);
      if (waiting.node !== undefined) taken.add(waiting.node);
    }
  }
}

function serviceAndSlot({ service, slot = 0 }: Ask): string {
  return `${service}#${slot}`;
}

function priorityOf({ priority = PRIORITY_DEFAULT }: Ask): number {
  return priority;
}
