/**
 * How fast does the engine place? One row for each goal of the engine, one thread.
 *
 *     node packages/scheduler/bench/schedule.bench.ts [ROW...] [--scale N] [--json]
 *
 * A row checks its result before it reports. Rates count processor time of the thread, so that a busy machine
 * slows them less; single asks are timed by the clock. `--scale 0.1` shrinks nodes and tasks alike.
 */

import { type Figures, ROWS, type Row } from "./rows.ts";

interface Report {
  readonly row: string;
  readonly what: string;
  readonly goal: string;
  readonly scale: number;
  readonly placements: number;
  readonly cpuMs: number;
  readonly perSecond: number;
  /** `NaN` where they are not counted. */
  readonly visits: number;
  /** Against the naive scan of the same process. */
  readonly ratio: number | undefined;
  readonly p50Micros: number | undefined;
  readonly p99Micros: number | undefined;
  readonly rssBytes: number;
}

function report(row: string, { what, goal }: Row, figures: Figures, scale: number): Report {
  const { placements, cpuMs, visits, latencies, naivePerSecond } = figures;
  const perSecond = Math.round((placements * 1_000) / cpuMs);
  const at = (share: number) => latencies?.[Math.floor(latencies.length * share)];
  return {
    row,
    what,
    goal,
    scale,
    placements,
    cpuMs,
    perSecond,
    visits,
    ratio: naivePerSecond === undefined ? undefined : perSecond / naivePerSecond,
    p50Micros: at(0.5),
    p99Micros: at(0.99),
    rssBytes: figures.rssBytes ?? process.memoryUsage().rss,
  };
}

function lineOf(each: Report): string {
  const rate = `${each.perSecond.toLocaleString("en")}/s`;
  const parts = [
    `${(each.cpuMs / 1_000).toFixed(2)} s`,
    ...(Number.isNaN(each.visits) ? [] : [`${each.visits.toFixed(1)} visits`]),
    ...(each.ratio === undefined ? [] : [`${each.ratio.toFixed(1)} times the naive scan`]),
    ...(each.p99Micros === undefined
      ? []
      : [`p50 ${each.p50Micros?.toFixed(0)} µs, p99 ${each.p99Micros.toFixed(0)} µs`]),
    `${(each.rssBytes / 1e9).toFixed(2)} GB`,
  ];
  return `${each.row.padEnd(9)} ${rate.padStart(11)}  ${parts.join(", ")}\n${" ".repeat(10)}${each.what}; goal: ${each.goal}`;
}

function main(words: readonly string[]): void {
  const at = words.indexOf("--scale");
  const scale = at < 0 ? 1 : Number(words[at + 1]);
  const named = words.filter(
    (word, index) => !word.startsWith("--") && (at < 0 || index !== at + 1),
  );
  const unknown = named.find((name) => !(name in ROWS));
  if (unknown !== undefined || !(scale > 0 && scale <= 1)) {
    console.error(`unknown: ${unknown ?? "scale"}; rows: ${Object.keys(ROWS).join(", ")}`);
    process.exitCode = 2;
    return;
  }
  for (const [name, row] of Object.entries(ROWS)) {
    if (named.length > 0 && !named.includes(name)) continue;
    const result = report(name, row, row.run(scale), scale);
    console.log(words.includes("--json") ? JSON.stringify(result) : lineOf(result));
  }
}

main(process.argv.slice(2));
