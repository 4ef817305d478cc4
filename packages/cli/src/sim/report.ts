/** The summary of `berth sim`: as JSON for programs, in words for people. */

import { formatBytes } from "@berth/base";
import { table } from "../output/output.ts";
import type { SimResult } from "./result.ts";

/** `docs/reference/sim.md` tells each field. */
export function jsonOf(mode: string, result: SimResult): object {
  const { filling, placements, more, timeMs, placementsPerSecond, ...stated } = result;
  return {
    mode,
    ...stated,
    ...more,
    timeMs: Math.round(timeMs * 1_000) / 1_000,
    placementsPerSecond: Math.round(placementsPerSecond),
  };
}

export function wordsOf(mode: string, result: SimResult): readonly string[] {
  const { placed, refused, running, hostsUsed, hostsUsedMost, lowerBound } = result;
  const rows = Object.entries(result.use).map(([name, { used, total, share }]) => [
    name,
    quantity(name, used),
    quantity(name, total),
    percent(share),
    name in result.fragmentation ? percent(result.fragmentation[name] ?? 0) : "",
  ]);
  return [
    `${mode}: ${placed} placed, ${refused} refused, ${running} running at the end`,
    `hosts: ${hostsUsed} in use (most at a time ${hostsUsedMost}), at least ${lowerBound} are needed`,
    ...Object.entries(result.more ?? {}).map(
      ([name, value]) => `${name}: ${JSON.stringify(value)}`,
    ),
    `time: ${result.timeMs.toFixed(0)} ms, ${Math.round(result.placementsPerSecond)} placements/s`,
    "",
    ...table(["RESOURCE", "USED", "OF", "SHARE", "FREE BUT OF NO USE"], rows),
  ];
}

function quantity(name: string, amount: number): string {
  if (name === "memory" || name === "disk") return formatBytes(amount);
  return name === "cpu" || name.startsWith("device ") ? String(amount / 1_000) : String(amount);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
