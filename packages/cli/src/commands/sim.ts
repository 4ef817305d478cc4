/** `berth sim` */

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { ProtocolError } from "@berth/protocol";
import { STRATEGIES, type Strategy } from "@berth/scheduler";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { runOnline } from "../sim/online.ts";
import { pictureOf } from "../sim/picture.ts";
import { jsonOf, wordsOf } from "../sim/report.ts";
import type { SimResult } from "../sim/result.ts";
import { LineWriter } from "../sim/trace-files.ts";
import { readAsks, readFailures, readMix, readNodes } from "../sim/trace-inputs.ts";

const MODES = ["online", "offline", "rebalance"] as const;

export const command: CommandDescription = {
  local: true,
  summary: "place a trace of asks on a list of nodes and tell how well it went",
  details:
    "The engine that places the cluster's own tasks answers for tasks and nodes of files, one JSON object a line (docs/reference/sim.md). Same files and seed, same bytes.",
  options: [
    { flags: "--nodes <file>", summary: "the hosts, one a line" },
    { flags: "--asks <file>", summary: "what wants a place, one a line" },
    { flags: "--out <file>", summary: "where each ask went, one a line" },
    { flags: "--mode <mode>", summary: MODES.join(", "), fallback: "online" },
    { flags: "--strategy <strategy>", summary: STRATEGIES.join(", "), fallback: "tightest" },
    { flags: "--seed <number>", summary: "decides between hosts that are alike", fallback: "1" },
    { flags: "--typical <file>", summary: "online: past asks from which the usual mix is learned" },
    { flags: "--failures <file>", summary: "online: hosts that go away, one a line" },
    { flags: "--report <file>", summary: "a picture of the cluster filling up (SVG)" },
    { flags: "--explain", summary: "why each ask went where it went, in --out" },
  ],
  examples: [
    {
      line: "berth sim --nodes nodes.ndjson --asks asks.ndjson --out placements.ndjson",
      does: "asks in their order, nothing known of later ones",
    },
    {
      line: "berth sim --nodes nodes.ndjson --asks asks.ndjson --report fill.svg --json",
      does: "a picture, and the summary for programs",
    },
  ],
  async run(input) {
    const { output } = input;
    const mode = choice(input, "mode", MODES, "online");
    const result = await runMode(mode, input);
    if (output.json) output.line(JSON.stringify(jsonOf(mode, result)));
    else for (const line of wordsOf(mode, result)) output.line(line);
    return EXIT.done;
  },
};

async function runMode(mode: (typeof MODES)[number], input: CommandInput): Promise<SimResult> {
  const nodes = await readNodes(file(input, "nodes"));
  const asks = await readAsks(file(input, "asks"));
  const failuresFile = optionalFile(input, "failures");
  const failures = failuresFile === undefined ? [] : await readFailures(failuresFile, nodes);
  const strategy = choice<Strategy>(input, "strategy", STRATEGIES, "tightest");
  const typicalFile = optionalFile(input, "typical");
  const mix = typicalFile === undefined ? {} : { mix: await readMix(typicalFile) };
  const options = { seed: wholeOption(input, "seed", 1), strategy, ...mix };
  const out = optionalFile(input, "out");
  const writer = out === undefined ? undefined : new LineWriter(out);
  const models = nodes.map(({ model }) => model);
  const result = runOnline({
    nodes: models,
    asks,
    failures,
    options,
    explain: flagOption(input, "explain"),
    write: (line) => writer?.write(line),
  });
  await writer?.close();
  const picture = optionalFile(input, "report");
  if (picture !== undefined) {
    const title = `berth sim --mode ${mode} --strategy ${strategy}`;
    writeFileSync(picture, pictureOf({ title, result, nodes: models, asks }));
  }
  return result;
}

function file(input: CommandInput, name: string): string {
  const path = optionalFile(input, name);
  if (path !== undefined) return path;
  throw new ProtocolError("invalid_request", `--${name} FILE is missing`);
}

function optionalFile(input: CommandInput, name: string): string | undefined {
  const path = textOption(input, name);
  if (path === undefined || path === "-") return path;
  return resolve(input.workingDirectory, path);
}

function choice<const T extends string>(
  input: CommandInput,
  name: string,
  allowed: readonly T[],
  fallback: T,
): T {
  const text = textOption(input, name) ?? fallback;
  const found = allowed.find((each) => each === text);
  if (found !== undefined) return found;
  throw new ProtocolError("invalid_request", `--${name} ${text}: there are ${allowed.join(", ")}`);
}

function wholeOption(input: CommandInput, name: string, fallback: number): number {
  const text = textOption(input, name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new ProtocolError(
    "invalid_request",
    `--${name} ${text}: expected a whole number of at least 0`,
  );
}
