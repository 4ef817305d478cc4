/**
 * How fast does the engine of typed arrays place, and how well do whole-cluster operations do?
 *
 *     node packages/scheduler/bench/engine.bench.ts [ROW...] [--scale N] [--seconds N] [--json]
 *
 * A row checks its result before it reports. Rates count processor time, so that a busy machine slows them less.
 * `--scale 0.1` shrinks nodes and tasks alike; `--seconds` is the budget of the rows that search (10).
 */

import { ENGINE_ROWS, type EngineRow } from "./engine-rows.ts";
import { WHOLE_ROWS } from "./whole-rows.ts";

function engineLine(
  name: string,
  { what, goal, run }: EngineRow,
  scale: number,
  isJson: boolean,
): string {
  const { placements, cpuMs, visits, naivePerSecond, latencies, cpuLatencies } = run(scale);
  const perSecond = Math.round((placements * 1_000) / cpuMs);
  const ratio = naivePerSecond === undefined ? undefined : perSecond / naivePerSecond;
  const p99Micros = p99(latencies);
  const p99CpuMicros = p99(cpuLatencies);
  const rssBytes = process.memoryUsage().rss;
  if (isJson)
    return JSON.stringify({
      row: name,
      what,
      goal,
      scale,
      placements,
      cpuMs,
      perSecond,
      visits,
      ratio,
      p99Micros,
      p99CpuMicros,
      rssBytes,
    });
  const parts = [
    `${(cpuMs / 1_000).toFixed(2)} s`,
    `${visits.toFixed(1)} visits`,
    ...(ratio === undefined ? [] : [`${ratio.toFixed(1)} times the naive scan`]),
    ...(p99Micros === undefined ? [] : [`p99 ${p99Micros.toFixed(0)} µs`]),
    ...(p99CpuMicros === undefined ? [] : [`of processor time ${p99CpuMicros.toFixed(0)} µs`]),
    `${(rssBytes / 1e9).toFixed(2)} GB`,
  ];
  return `${name.padEnd(10)} ${perSecond.toLocaleString("en")}/s  ${parts.join(", ")}\n           ${what}; goal: ${goal}`;
}

function p99(sorted: Float64Array | undefined): number | undefined {
  return sorted?.[Math.floor(sorted.length * 0.99)];
}

function main(words: readonly string[]): void {
  const numberAfter = (flag: string, fallback: number) => {
    const at = words.indexOf(flag);
    return at < 0 ? fallback : Number(words[at + 1]);
  };
  const [scale, seconds] = [numberAfter("--scale", 1), numberAfter("--seconds", 10)];
  const named = words.filter(
    (word, at) => !word.startsWith("--") && !/^--(scale|seconds)$/.test(words[at - 1] ?? ""),
  );
  const all = [...Object.keys(ENGINE_ROWS), ...Object.keys(WHOLE_ROWS)];
  const unknown = named.find((name) => !all.includes(name));
  if (unknown !== undefined || !(scale > 0 && scale <= 1) || !(seconds > 0)) {
    console.error(`unknown: ${unknown ?? "scale or seconds"}; rows: ${all.join(", ")}`);
    process.exitCode = 2;
    return;
  }
  const isJson = words.includes("--json");
  const isWanted = (name: string) => named.length === 0 || named.includes(name);
  for (const [name, row] of Object.entries(ENGINE_ROWS)) {
    if (isWanted(name)) console.log(engineLine(name, row, scale, isJson));
  }
  for (const [name, { what, goal, run }] of Object.entries(WHOLE_ROWS)) {
    if (!isWanted(name)) continue;
    const figures = run(scale, seconds * 1_000);
    if (isJson) console.log(JSON.stringify({ row: name, what, goal, scale, ...figures }));
    else {
      const said = Object.entries(figures).map(([key, value]) => `${key} ${value}`);
      console.log(`${name.padEnd(10)} ${said.join(", ")}\n           ${what}; goal: ${goal}`);
    }
  }
}

main(process.argv.slice(2));
