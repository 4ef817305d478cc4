/** `berth sim --mode online`: decides the asks of a trace as they arrive. */

import type { NodeModel } from "@berth/scheduler";
import { explainHints, explainPlacement, type ScheduleOptions } from "@berth/scheduler";
import type { TraceAsk } from "@berth/scheduler/trace/ask-line";
import {
  type NodeFailure,
  type Outcome,
  Replay,
  refusalWords,
} from "@berth/scheduler/trace/replay";
import { useOf } from "@berth/scheduler/trace/summary";
import { Filling } from "./filling.ts";
import type { SimResult } from "./result.ts";

export interface OnlineInput {
  readonly nodes: readonly NodeModel[];
  readonly asks: readonly TraceAsk[];
  readonly failures: readonly NodeFailure[];
  readonly options: ScheduleOptions;
  readonly explain: boolean;
  readonly write: (line: unknown) => void;
}

export function runOnline(input: OnlineInput): SimResult {
  const { nodes, asks, failures, options, write } = input;
  const counts = { placed: 0, refused: 0 };
  const hasTimes =
    failures.length > 0 ||
    asks.some(({ arriveMs, departMs }) => (arriveMs ?? departMs) !== undefined);
  const filling = new Filling(nodes, asks.length);
  const onOutcome = (outcome: Outcome) => {
    counts[outcome.kind]++;
    const at = hasTimes ? { atMs: outcome.atMs } : {};
    write({ ...lineOf(outcome, input.explain), ...at });
  };
  const started = performance.now();
  const replay = new Replay({
    nodes,
    asks,
    failures,
    options,
    onOutcome,
    onChange: (now) => filling.look(now),
  });
  replay.run();
  const timeMs = performance.now() - started;
  const left = [...replay.placed.values()];
  const placed = left.map(({ node, ask }) => ({ node, requests: ask.ask.requests }));
  return {
    ...counts,
    running: left.length,
    ...useOf(
      nodes,
      placed,
      asks.map(({ ask }) => ask.requests),
    ),
    hostsUsedMost: replay.hostsUsedMost,
    timeMs,
    placementsPerSecond: (counts.placed * 1_000) / timeMs,
    filling,
    placements: new Map(left.map(({ ask, node }) => [ask.ask.id, node])),
  };
}

function lineOf(outcome: Outcome, explain: boolean): object {
  const ask = outcome.ask.ask.id;
  if (outcome.kind === "refused") {
    const hints = explain ? { wouldFitIf: explainHints(outcome.refusal) } : {};
    return { ask, refused: { reasons: refusalWords(outcome.refusal), ...hints } };
  }
  const { node, devices } = outcome.placement;
  const why = explain ? { why: explainPlacement(outcome.placement) } : {};
  return {
    ask,
    node,
    ...(devices.length === 0
      ? {}
      : { devices: devices.map(({ kind, indexes }) => ({ kind, indexes })) }),
    ...why,
  };
}
