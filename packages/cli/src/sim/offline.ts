/** `berth sim --mode offline`: the fewest hosts for all asks, within a time. */

import type { NodeModel } from "@berth/scheduler";
import type { TraceAsk } from "@berth/scheduler/trace/ask-line";
import { refusalWords } from "@berth/scheduler/trace/replay";
import { useOf } from "@berth/scheduler/trace/summary";
import { pack } from "@berth/scheduler/whole/packing";
import type { SimResult } from "./result.ts";

export interface OfflineInput {
  readonly nodes: readonly NodeModel[];
  readonly asks: readonly TraceAsk[];
  readonly seed: number;
  readonly isOver: (steps: number) => boolean;
  readonly isLate: () => boolean;
  readonly write: (line: unknown) => void;
}

export function runOffline({ nodes, asks, seed, isOver, isLate, write }: OfflineInput): SimResult {
  const started = performance.now();
  const packing = pack({ nodes, asks: asks.map(({ ask }) => ask), seed, isOver, isLate });
  const timeMs = performance.now() - started;
  const refusals = new Map(packing.refusals.map((refusal) => [refusal.ask, refusal]));
  const placed = asks.flatMap(({ ask }) => {
    const placement = packing.placements.get(ask.id);
    const refusal = refusals.get(ask.id);
    if (placement !== undefined) {
      const devices = placement.devices.map(({ kind, indexes }) => ({ kind, indexes }));
      write({ ask: ask.id, node: placement.node, ...(devices.length === 0 ? {} : { devices }) });
      return [{ node: placement.node, requests: ask.requests, id: ask.id }];
    }
    write({
      ask: ask.id,
      refused: { reasons: refusal === undefined ? [] : refusalWords(refusal) },
    });
    return [];
  });
  const use = useOf(
    nodes,
    placed,
    asks.map(({ ask }) => ask.requests),
  );
  return {
    placed: placed.length,
    refused: packing.refusals.length,
    running: placed.length,
    ...use,
    hostsUsedMost: use.hostsUsed,
    timeMs,
    placementsPerSecond: (placed.length * 1_000) / timeMs,
    filling: [],
    placements: new Map(placed.map(({ id, node }) => [id, node])),
    more: {
      hostsFirst: packing.hostsFirst,
      steps: packing.steps,
      optimal: packing.refusals.length === 0 && use.hostsUsed <= use.lowerBound,
    },
  };
}
