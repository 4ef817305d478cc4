/**
 * Who decides the asks of a trace: the engine of typed arrays, or the transaction of the live cluster where a trace
 * uses what only that knows (ports, pods), or lets asks displace tasks.
 */

import type { Decision } from "../decision.ts";
import { Engine, type EngineOptions } from "../dense/engine.ts";
import { explainPlacement } from "../explain.ts";
import type { Ask, DeviceAssignment, NodeModel } from "../model.ts";
import type { Preemption } from "../options.ts";
import type { SchedulePlan } from "../plan.ts";
import { type ReservationLimits, Reservations } from "../reservations.ts";
import { Transaction } from "../transaction.ts";

export interface ReplayEngine {
  /** Decides asks that belong together, in their order, at a time of the trace. */
  decide(asks: readonly Ask[], nowMs: number): readonly Decision[];
  /** Begins with a task that runs on the node, whatever the rules say; false when there is no such node. */
  hold(ask: Ask, node: string, devices?: readonly DeviceAssignment[]): boolean;
  /** Ends a task; false when there is none of that id. */
  release(id: string): boolean;
  /** Takes a node away or brings it back; false when there is none of that id. */
  turn(node: string, turn: { readonly ready: boolean }): boolean;
}

export interface ReplayOptions extends EngineOptions {
  /** Asks without a place may displace tasks of lower priority; they may not when absent. */
  readonly preemption?: Preemption;
  /** Nodes are held for asks that wait for so long; none are when absent. */
  readonly reservations?: ReservationLimits;
}

/** The fastest engine that can decide all of `asks`. */
export function engineFor(
  nodes: readonly NodeModel[],
  asks: readonly Ask[],
  options: ReplayOptions,
): ReplayEngine {
  const isSlow =
    (options.preemption ?? options.reservations) !== undefined || !asks.every(Engine.canDecide);
  if (isSlow) return slowEngine(nodes, options);
  // Few hosts are large hosts; among devices a shuffled order consolidates better, whatever the hosts' sizes.
  const hasDevices = nodes.some(({ devices }) => devices.length > 0);
  const largestFirst = options.strategy === "tightest" && !hasDevices;
  return new Engine(nodes, { largestFirst, ...options });
}

function slowEngine(nodes: readonly NodeModel[], options: ReplayOptions): ReplayEngine {
  const transaction = new Transaction({ nodes, tasks: [] }, { ...options, defaults: {} });
  const known = new Set(nodes.map(({ id }) => id));
  const { reservations: limits } = options;
  const reservations = limits && new Reservations(limits, ({ id }) => id);
  const plan = (asks: readonly Ask[], nowMs: number) =>
    reservations?.schedule(transaction, asks, nowMs) ?? transaction.schedule(asks);
  return {
    hold: (ask, node, devices) => {
      if (!known.has(node)) return false;
      transaction.apply({ ...ask, node, ...(devices === undefined ? {} : { devices }) });
      return true;
    },
    decide: (asks, nowMs) => decisionsOf(asks, plan(asks, nowMs)),
    release: (id) => transaction.release(id),
    turn: (node, turn) => transaction.turn(node, turn),
  };
}

function decisionsOf(asks: readonly Ask[], plan: SchedulePlan): readonly Decision[] {
  const placements = new Map(plan.placements.map((placement) => [placement.ask, placement]));
  const refusals = new Map(plan.refusals.map((refusal) => [refusal.ask, refusal]));
  return asks.map(({ id }): Decision => {
    const placement = placements.get(id);
    const refusal = refusals.get(id);
    if (placement !== undefined) {
      const { node, devices, victims } = placement;
      const why = explainPlacement(placement);
      const displaced = victims === undefined ? {} : { victims };
      return { ask: id, node, devices, refusal: undefined, why, ...displaced };
    }
    return { ask: id, node: undefined, devices: [], refusal: refusal && (() => refusal) };
  });
}
