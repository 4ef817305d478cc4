/** `berth sim --mode rebalance`: a running state made better by a bounded number of moves. */

import type { TraceAsk } from "@berth/scheduler/trace/ask-line";
import type { TraceNode } from "@berth/scheduler/trace/node-line";
import { useOf } from "@berth/scheduler/trace/summary";
import { rebalance } from "@berth/scheduler/whole/rebalancing";
import type { SimResult } from "./result.ts";
import type { InitialTask } from "./trace-inputs.ts";

export interface RebalanceInput {
  readonly nodes: readonly TraceNode[];
  readonly asks: readonly TraceAsk[];
  readonly initial: ReadonlyMap<string, InitialTask>;
  readonly moves: number;
  readonly transient: readonly string[];
  readonly seed: number;
  readonly isOver: (steps: number) => boolean;
  readonly write: (line: unknown) => void;
}

export function runRebalance(input: RebalanceInput): SimResult {
  const { nodes, asks, write } = input;
  const models = nodes.map(({ model }) => model);
  const started = performance.now();
  const result = rebalance({ ...input, nodes: models, soft: nodes.map(({ soft }) => soft) });
  const timeMs = performance.now() - started;
  const moves = new Map(
    result.moves.map((move, index) => [move.ask, { from: move.from, step: index + 1 }]),
  );
  const placed = asks.flatMap(({ ask }) => {
    const node = result.placements.get(ask.id);
    if (node === undefined) return [];
    const held = input.initial
      .get(ask.id)
      ?.devices?.map(({ kind, indexes }) => ({ kind, indexes }));
    const devices = held === undefined ? {} : { devices: held };
    write({ ask: ask.id, node, ...devices, ...moves.get(ask.id) });
    return [{ node, requests: ask.requests }];
  });
  const use = useOf(
    models,
    placed,
    asks.map(({ ask }) => ask.requests),
  );
  const { before, after, lowerBound } = result.objective;
  const gap = before - lowerBound;
  return {
    placed: placed.length,
    refused: 0,
    running: placed.length,
    ...use,
    hostsUsedMost: use.hostsUsed,
    timeMs,
    placementsPerSecond: (result.steps * 1_000) / timeMs,
    filling: [],
    placements: result.placements,
    more: {
      objective: result.objective,
      gapClosed: gap <= 0 ? 1 : (before - after) / gap,
      moves: result.moves.length,
      steps: result.steps,
    },
  };
}
