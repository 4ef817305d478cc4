/** `berth sim --mode online`: decides the asks of a trace as they arrive. */

import { explainHints, type NodeModel } from "@berth/scheduler";
import type { TraceAsk } from "@berth/scheduler/trace/ask-line";
import {
  type HeldTask,
  type NodeFailure,
  type Outcome,
  Replay,
  refusalWords,
} from "@berth/scheduler/trace/replay";
import { engineFor, type ReplayOptions } from "@berth/scheduler/trace/replay-engine";
import { useOf } from "@berth/scheduler/trace/summary";
import { Filling } from "./filling.ts";
import type { SimResult } from "./result.ts";

export interface OnlineInput {
  readonly nodes: readonly NodeModel[];
  readonly asks: readonly TraceAsk[];
  /** What runs already. */
  readonly held: readonly HeldTask[];
  readonly failures: readonly NodeFailure[];
  readonly options: ReplayOptions;
  /** Asks without a place wait for one. */
  readonly waits: boolean;
  readonly explain: boolean;
  /** Looks at how the cluster fills up, for a picture: costs time that is not the engine's. */
  readonly watch: boolean;
  readonly write: (line: unknown) => void;
}

/** Lines written together, so that the time of writing can be told from that of deciding. */
const LINES_AT_ONCE = 1_000;

export function runOnline(input: OnlineInput): SimResult {
  const { nodes, asks, held, failures, options, write } = input;
  const counts = { placed: 0, refused: 0, displaced: 0 };
  const hasTimes =
    failures.length > 0 ||
    asks.some(({ arriveMs, departMs }) => (arriveMs ?? departMs) !== undefined);
  const filling = new Filling(nodes, asks.length);
  const lines: object[] = [];
  let writingMs = 0;
  const flush = () => {
    const began = performance.now();
    for (const line of lines) write(line);
    lines.length = 0;
    writingMs += performance.now() - began;
  };
  const onOutcome = (outcome: Outcome) => {
    counts[outcome.kind]++;
    const line = lineOf(outcome, input.explain);
    lines.push(hasTimes ? { ...line, atMs: outcome.atMs } : line);
    if (lines.length >= LINES_AT_ONCE) flush();
  };
  const started = performance.now();
  const all = held.map(({ ask }) => ask.ask);
  for (const { ask } of asks) all.push(ask);
  const engine = engineFor(nodes, all, { ...options, explain: input.explain });
  const replay = new Replay({
    engine,
    asks,
    held,
    failures,
    onOutcome,
    waits: input.waits,
    ...(input.watch ? { onChange: (now: Replay) => filling.look(now) } : {}),
  });
  replay.run();
  const timeMs = performance.now() - started - writingMs;
  flush();
  const left = [...replay.placed.values()];
  const placed = left.map(({ node, ask }) => ({ node, requests: ask.ask.requests }));
  const { displaced, ...stated } = counts;
  return {
    ...stated,
    ...(options.preemption === undefined ? {} : { more: { displaced } }),
    running: left.length,
    ...useOf(
      nodes,
      placed,
      asks.map(({ ask }) => ask.requests),
    ),
    hostsUsedMost: replay.hostsUsedMost,
    timeMs,
    placementsPerSecond: (counts.placed * 1_000) / timeMs,
    filling: filling.points,
    placements: new Map(left.map(({ ask, node }) => [ask.ask.id, node])),
  };
}

function lineOf(outcome: Outcome, explain: boolean): object {
  const ask = outcome.ask.ask.id;
  if (outcome.kind === "refused") {
    const refusal = outcome.refusal();
    const hints = explain ? { wouldFitIf: explainHints(refusal) } : {};
    return { ask, refused: { reasons: refusalWords(refusal), ...hints } };
  }
  if (outcome.kind === "displaced") return { ask, displaced: { by: outcome.by } };
  const { node, decision } = outcome;
  if (decision.devices.length === 0 && !explain) return { ask, node };
  const devices = decision.devices.map(({ kind, indexes }) => ({ kind, indexes }));
  const why = explain && decision.why !== undefined ? { why: decision.why } : {};
  return { ask, node, ...(devices.length === 0 ? {} : { devices }), ...why };
}
