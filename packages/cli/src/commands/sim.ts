/** `berth sim` */

import { writeFileSync } from "node:fs";
import { ProtocolError } from "@berth/protocol";
import { RESERVATION_LIMITS, STRATEGIES } from "@berth/scheduler";
import type { TraceNode } from "@berth/scheduler/trace/node-line";
import type { ReplayOptions } from "@berth/scheduler/trace/replay-engine";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { runOffline } from "../sim/offline.ts";
import { runOnline } from "../sim/online.ts";
import { pictureOf } from "../sim/picture.ts";
import { type Answer, QUESTIONS } from "../sim/questions.ts";
import { runRebalance } from "../sim/rebalanced.ts";
import { jsonOf, wordsOf } from "../sim/report.ts";
import type { SimResult } from "../sim/result.ts";
import { choice, optionalFile, wholeOption } from "../sim/sim-options.ts";
import { MODES, readTraces, type Trace } from "../sim/trace.ts";
import { LineWriter } from "../sim/trace-files.ts";
import { readFailures, readMix } from "../sim/trace-inputs.ts";

const PLACING = ["online", "offline", "rebalance"] as const;
const ASKING = ["failures", "headroom", "scale-in"] as const;
/** Long enough for a good packing of some hundred asks. */
const BUDGET_MS = 1_000;

export const command: CommandDescription = {
  summary: "place asks on nodes, of files or of the cluster, and tell how well it went",
  details:
    "The scheduling engine answers for tasks and nodes of files, one JSON object a line (docs/reference/sim.md), or for those of the cluster. Nothing is changed there. Same files and seed, same bytes; of what has a budget in milliseconds, the same for the same number of steps.",
  options: [
    {
      flags: "--from-cluster",
      summary: "the cluster's nodes and copies; --asks are then asks beside them",
    },
    { flags: "--nodes <file>", summary: "the hosts, one a line" },
    { flags: "--asks <file>", summary: "what wants a place, one a line" },
    { flags: "--out <file>", summary: "where each ask went, one a line" },
    { flags: "--mode <mode>", summary: MODES.join(", "), fallback: "online" },
    {
      flags: "--strategy <strategy>",
      summary: `online and questions: ${STRATEGIES.join(", ")}`,
      fallback: "tightest",
    },
    { flags: "--seed <number>", summary: "decides between hosts that are alike", fallback: "1" },
    { flags: "--typical <file>", summary: "online: past asks from which the usual mix is learned" },
    { flags: "--preemption", summary: "online: asks may displace tasks of lower priority" },
    { flags: "--wait", summary: "online: asks without a place wait until one is given back" },
    {
      flags: "--reserve-after-ms <number>",
      summary: "online: waiting asks that wait so long get a node that is held for them",
    },
    { flags: "--failures <file>", summary: "online: hosts that go away, one a line" },
    {
      flags: "--budget-ms <number>",
      summary: "offline, rebalance: time to search",
      fallback: String(BUDGET_MS),
    },
    {
      flags: "--steps <number>",
      summary: "offline, rebalance: end after so many steps, whatever the time",
    },
    {
      flags: "--initial <file>",
      summary: "online, rebalance and questions: placements to begin with",
    },
    { flags: "--moves <number>", summary: "rebalance: most tasks that may move", fallback: "all" },
    {
      flags: "--transient <names>",
      summary: "rebalance: resources held on both hosts, with commas",
    },
    { flags: "--level <level>", summary: "failures: node, zone, ...", fallback: "node" },
    { flags: "--report <file>", summary: "a picture of the cluster (SVG)" },
    { flags: "--explain", summary: "why each ask went where it went, in --out" },
  ],
  examples: [
    {
      line: "berth sim --from-cluster --mode failures --level zone",
      does: "does everything that runs now fit elsewhere if a zone fails?",
    },
    {
      line: "berth sim --from-cluster --mode headroom",
      does: "how many more copies of each service would fit",
    },
    {
      line: "berth sim --from-cluster --asks more.ndjson --explain --out where.ndjson",
      does: "where these would go beside what runs",
    },
    {
      line: "berth sim --nodes nodes.ndjson --asks asks.ndjson --out placements.ndjson",
      does: "asks in their order, nothing known of later ones",
    },
    {
      line: "berth sim --mode offline --budget-ms 10000 --nodes nodes.ndjson --asks asks.ndjson --json",
      does: "the fewest hosts that are found in ten seconds",
    },
    {
      line: "berth sim --mode rebalance --initial placements.ndjson --moves 50 --nodes nodes.ndjson --asks asks.ndjson",
      does: "the best that fifty moves can do",
    },
    {
      line: "berth sim --mode failures --level zone --initial placements.ndjson --nodes nodes.ndjson --asks asks.ndjson",
      does: "which zones can fail with everything placed elsewhere",
    },
  ],
  async run(input) {
    const { output } = input;
    const mode = choice(input, "mode", MODES, "online");
    const trace = await readTraces(input, mode);
    const placing = PLACING.find((each) => each === mode);
    if (placing === undefined) {
      const answer = ask(ASKING.find((each) => each === mode) ?? "failures", trace, input);
      if (output.json) output.line(JSON.stringify(answer.json));
      else for (const line of answer.words) output.line(line);
      return EXIT.done;
    }
    const result = await place(placing, trace, input);
    if (output.json) output.line(JSON.stringify(jsonOf(mode, result)));
    else for (const line of wordsOf(mode, result)) output.line(line);
    return EXIT.done;
  },
};

async function place(
  mode: (typeof PLACING)[number],
  trace: Trace,
  input: CommandInput,
): Promise<SimResult> {
  const out = optionalFile(input, "out");
  const writer = out === undefined ? undefined : new LineWriter(out);
  const result = await RUNS[mode](trace, input, (line) => writer?.write(line));
  await writer?.close();
  const picture = optionalFile(input, "report");
  if (picture !== undefined) {
    const nodes = trace.nodes.map(({ model }) => model);
    writeFileSync(
      picture,
      pictureOf({ title: `berth sim --mode ${mode}`, result, nodes, asks: trace.asks }),
    );
  }
  return result;
}

type Write = (line: unknown) => void;

const RUNS: Readonly<
  Record<
    (typeof PLACING)[number],
    (trace: Trace, input: CommandInput, write: Write) => Promise<SimResult>
  >
> = {
  async online({ nodes, asks, initial, seed, strategy }, input, write) {
    const failuresFile = optionalFile(input, "failures");
    const typicalFile = optionalFile(input, "typical");
    const mix = typicalFile === undefined ? {} : { mix: await readMix(typicalFile) };
    return runOnline({
      nodes: nodes.map(({ model }) => model),
      asks: asks.filter(({ ask: each }) => !initial.has(each.id)),
      held: asks.flatMap((each) => {
        const task = initial.get(each.ask.id);
        return task === undefined ? [] : [{ ask: each, ...task }];
      }),
      failures: failuresFile === undefined ? [] : await readFailures(failuresFile, nodes),
      options: {
        ...{ seed, strategy, ...mix },
        ...(flagOption(input, "preemption") ? { preemption: {} } : {}),
        ...reservationsOf(input),
      },
      waits: flagOption(input, "wait") || textOption(input, "reserveAfterMs") !== undefined,
      explain: flagOption(input, "explain"),
      watch: optionalFile(input, "report") !== undefined,
      write,
    });
  },
  async offline({ nodes, asks, seed }, input, write) {
    return runOffline({
      nodes: nodes.map(({ model }) => model),
      asks,
      seed,
      ...budget(input),
      write,
    });
  },
  async rebalance({ nodes, asks, initial, seed }, input, write) {
    const moves = wholeOption(input, { flag: "--moves", key: "moves" }, asks.length);
    const transient = (textOption(input, "transient") ?? "")
      .split(",")
      .filter((name) => name !== "");
    refuseUnknown(transient, nodes);
    return runRebalance({
      nodes,
      asks,
      initial,
      moves,
      transient,
      seed,
      isOver: budget(input).isOver,
      write,
    });
  },
};

function ask(
  mode: (typeof ASKING)[number],
  { nodes, asks, initial, seed, strategy }: Trace,
  input: CommandInput,
): Answer {
  const level = textOption(input, "level") ?? "node";
  const running = asks.flatMap(({ ask: each }) => {
    const task = initial.get(each.id);
    return task === undefined ? [] : [{ ask: each, ...task }];
  });
  const waiting = asks.filter(({ ask: each }) => !initial.has(each.id));
  if (mode === "headroom" && waiting.length === 0) {
    const message =
      "every ask has a place already: the asks without one are those of which more are counted";
    throw new ProtocolError("invalid_request", message);
  }
  const models = nodes.map(({ model }) => model);
  return QUESTIONS[mode]({ nodes: models, running, waiting, level, seed, strategy });
}

/** In a trace an ask waits until its end: nobody is forgotten. */
function reservationsOf(input: CommandInput): Pick<ReplayOptions, "reservations"> {
  const key = "reserveAfterMs";
  if (textOption(input, key) === undefined) return {};
  const afterMs = wholeOption(input, { flag: "--reserve-after-ms", key }, 0);
  const forgetAfterMs = Number.POSITIVE_INFINITY;
  return { reservations: { ...RESERVATION_LIMITS, afterMs, forgetAfterMs } };
}

/** A name that no host has would hold nothing, and the plan would look better than it is. */
function refuseUnknown(transient: readonly string[], nodes: readonly TraceNode[]): void {
  const named = nodes.flatMap(({ model }) => Object.keys(model.resources));
  const known = new Set(["cpu", "memory", "disk", "pids", ...named]);
  const unknown = transient.find((name) => !known.has(name));
  if (unknown === undefined) return;
  const there = [...known].sort().join(", ");
  throw new ProtocolError("invalid_request", `--transient ${unknown}: the hosts have ${there}`);
}

/** Looks at the clock every so many steps only: a look costs as much as a step. */
const STEPS_PER_LOOK = 32;

function budget(input: CommandInput) {
  const key = "steps";
  const stepsMax = wholeOption(input, { flag: "--steps", key }, Number.MAX_SAFE_INTEGER);
  const stated = wholeOption(input, { flag: "--budget-ms", key: "budgetMs" }, BUDGET_MS);
  const budgetMs = textOption(input, key) === undefined ? stated : Number.POSITIVE_INFINITY;
  const end = performance.now() + budgetMs;
  const isLate = () => performance.now() >= end;
  let wasLate = false;
  const isOver = (steps: number) => {
    if (steps >= stepsMax) return true;
    if (steps % STEPS_PER_LOOK === 0) wasLate = isLate();
    return wasLate;
  };
  return { isOver, isLate };
}
