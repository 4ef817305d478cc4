/** What runs covered and how they ended, in a few lines. */

import type { RunResult } from "./run-seed.ts";

export function summaryOf(results: readonly RunResult[]): string {
  const bad = results.filter(({ violations }) => violations.length > 0);
  const sum = (of: (result: RunResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const minutes = sum(({ statistics }) => statistics.virtualMs) / 60_000;
  const calm = results.map(({ statistics }) => statistics.calmMs).sort((a, b) => a - b);
  const middle = (calm[Math.floor(calm.length / 2)] ?? 0) / 1_000;
  const worst = (calm.at(-1) ?? 0) / 1_000;
  return [
    `${results.length} seeds, ${bad.length} with violations: ${bad.map(({ seed }) => seed).join(" ")}`,
    `${minutes.toFixed(1)} virtual minutes, ${sum(({ statistics }) => statistics.timers)} timers, ` +
      `${sum(({ statistics }) => statistics.commits)} commits, ` +
      `${sum(({ statistics }) => statistics.tasks)} tasks`,
    `calm after ${middle} s (median), ${worst} s (worst)`,
    `faults: ${counts(results.map(({ statistics }) => statistics.faults))}`,
    `seen: ${counts(results.map(({ statistics }) => statistics.seen))}`,
    ...(results.length === 1 ? [`digest ${results[0]?.digest}`] : []),
  ].join("\n");
}

function counts(each: readonly Readonly<Record<string, number>>[]): string {
  const total = new Map<string, number>();
  for (const one of each) {
    for (const [name, count] of Object.entries(one))
      total.set(name, (total.get(name) ?? 0) + count);
  }
  return [...total]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
