/**
 * What `berth sim` works on: hosts and asks of files, or the nodes and copies of the cluster, with more asks of a
 * file where one is given.
 */

import { ProtocolError } from "@berth/protocol";
import { STRATEGIES, type Strategy } from "@berth/scheduler";
import type { TraceAsk } from "@berth/scheduler/trace/ask-line";
import type { TraceNode } from "@berth/scheduler/trace/node-line";
import { wholeAsks } from "@berth/scheduler/trace/whole-asks";
import { type CommandInput, flagOption, textOption } from "../command.ts";
import { oneMoreOfEach, readCluster } from "./from-cluster.ts";
import { choice, optionalFile, requiredFile, wholeOption } from "./sim-options.ts";
import { type InitialTask, readAsks, readInitial, readNodes } from "./trace-inputs.ts";

export const MODES = [
  "online",
  "offline",
  "rebalance",
  "failures",
  "headroom",
  "scale-in",
] as const;
export type Mode = (typeof MODES)[number];

export interface Trace {
  readonly nodes: readonly TraceNode[];
  readonly asks: readonly TraceAsk[];
  /** Where asks run already. */
  readonly initial: ReadonlyMap<string, InitialTask>;
  readonly seed: number;
  readonly strategy: Strategy;
}

/** Modes that begin with a running state. */
const BEGINS_RUNNING: ReadonlySet<Mode> = new Set([
  "rebalance",
  "failures",
  "headroom",
  "scale-in",
]);

/** Reads what the mode needs. Throws `ProtocolError` where something is missing or does not fit together. */
export async function readTraces(input: CommandInput, mode: Mode): Promise<Trace> {
  const read = flagOption(input, "fromCluster") ? fromCluster : fromFiles;
  const { nodes, asks, initial } = await read(input, mode);
  const seed = wholeOption(input, { flag: "--seed", key: "seed" }, 1);
  const trace = { nodes, asks, initial, seed, strategy: strategyOf(input, mode) };
  return mode === "online" ? trace : inWholeAsks(trace);
}

type Parts = Pick<Trace, "nodes" | "asks" | "initial">;

async function fromFiles(input: CommandInput, mode: Mode): Promise<Parts> {
  const nodes = await readNodes(requiredFile(input, "nodes"));
  const asks = await readAsks(requiredFile(input, "asks"));
  const path = BEGINS_RUNNING.has(mode)
    ? requiredFile(input, "initial")
    : mode === "online"
      ? optionalFile(input, "initial")
      : undefined;
  const initial = path === undefined ? new Map() : await readInitial(path, asks, nodes);
  return { nodes, asks, initial };
}

async function fromCluster(input: CommandInput, mode: Mode): Promise<Parts> {
  for (const name of ["nodes", "initial"]) {
    if (textOption(input, name) === undefined) continue;
    const message = `--${name} and --from-cluster exclude each other: the cluster tells its ${name === "nodes" ? "nodes" : "placements"}`;
    throw new ProtocolError("invalid_request", message);
  }
  const cluster = await readCluster(input.connect(), input.signal);
  const file = optionalFile(input, "asks");
  const more = file === undefined ? [] : await readAsks(file);
  const twin = more.find(({ ask }) => cluster.initial.has(ask.id));
  if (twin !== undefined) {
    const message = `${file}: ask ${twin.ask.id} runs in the cluster already; give it another id`;
    throw new ProtocolError("invalid_request", message);
  }
  const asks = [...cluster.asks, ...more];
  if (mode === "headroom" && file === undefined) {
    return { ...cluster, asks: [...asks, ...oneMoreOfEach(asks)] };
  }
  // Without asks of a file, all that runs is placed anew: how would the scheduler do it from the beginning?
  const anew = mode === "online" && file === undefined;
  return { nodes: cluster.nodes, asks, initial: anew ? new Map() : cluster.initial };
}

/** Offline packing and rebalancing have goals of their own. */
function strategyOf(input: CommandInput, mode: Mode): Strategy {
  const strategy = choice<Strategy>(input, "strategy", STRATEGIES, "tightest");
  const goal = { offline: "the fewest hosts", rebalance: "even use, or use below soft limits" };
  if (
    textOption(input, "strategy") === undefined ||
    !(mode === "offline" || mode === "rebalance")
  ) {
    return strategy;
  }
  const message = `--strategy ${strategy}: --mode ${mode} has a goal of its own, ${goal[mode]}`;
  throw new ProtocolError("invalid_request", message);
}

/** Pods as one ask each, ports as resources: what operations on whole clusters know. */
function inWholeAsks(trace: Trace): Trace {
  const models = trace.nodes.map(({ model }) => model);
  const whole = wholeAsks(
    models,
    trace.asks.map(({ ask }) => ask),
  );
  const own = new Map(trace.asks.map((each) => [each.ask.id, each]));
  const initial = new Map<string, InitialTask>();
  for (const [id, task] of trace.initial) initial.set(whole.unitOf.get(id) ?? id, task);
  return {
    ...trace,
    nodes: trace.nodes.map((node, at) => ({ ...node, model: whole.nodes[at] ?? node.model })),
    asks: whole.asks.flatMap((ask) => {
      const first = own.get(ask.id);
      return first === undefined ? [] : [{ ...first, ask }];
    }),
    initial,
  };
}
