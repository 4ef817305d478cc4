/** What runs covered and how they ended, in a few lines. */

import type { RunResult } from "./run-seed.ts";
import { TROUBLES, type Trouble } from "./trouble.ts";

export function summaryOf(results: readonly RunResult[]): string {
  const bad = results.filter(({ violations }) => violations.length > 0);
  const sum = (of: (result: RunResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const sorted = (of: (result: RunResult) => number) => results.map(of).sort((a, b) => a - b);
  const minutes = sum(({ statistics }) => statistics.virtualMs) / 60_000;
  const calm = sorted(({ statistics }) => statistics.calmMs);
  const machines = sorted(({ statistics }) => statistics.machines);
  const found = bad.map(({ seed }) => seed).sort((a, b) => a - b);
  return [
    `${results.length} seeds, ${bad.length} with violations${found.length > 0 ? `: ${found.join(" ")}` : ""}`,
    `${machines[0] ?? 0} to ${machines.at(-1) ?? 0} machines (median ${middle(machines)}), ` +
      `${minutes.toFixed(1)} virtual minutes`,
    `${sum(({ statistics }) => statistics.timers)} timers, ` +
      `${sum(({ statistics }) => statistics.commits)} commits, ` +
      `${sum(({ statistics }) => statistics.tasks)} tasks`,
    `calm after ${middle(calm) / 1_000} s (median), ${(calm.at(-1) ?? 0) / 1_000} s (worst)`,
    `faults: ${troubles(results)}`,
    `operator: ${list(total(results.map(({ statistics }) => statistics.operator)))}`,
    `seen: ${list(total(results.map(({ statistics }) => statistics.seen)))}`,
    ...(results.length === 1 ? [`digest ${results[0]?.digest}`] : []),
  ].join("\n");
}

function middle(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Each kind in words, also those that never came. */
function troubles(results: readonly RunResult[]): string {
  const counts = total(results.map(({ statistics }) => statistics.faults));
  const rows = Object.entries(TROUBLES).map(
    ([kind, { what }]) => `\n  ${String(counts.get(kind as Trouble) ?? 0).padStart(7)}  ${what}`,
  );
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return `${all}, ${(all / Math.max(1, results.length)).toFixed(1)} a seed${rows.join("")}`;
}

function total(each: readonly Readonly<Record<string, number>>[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const one of each) {
    for (const [name, count] of Object.entries(one)) {
      counts.set(name, (counts.get(name) ?? 0) + count);
    }
  }
  return counts;
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
