/** Figures and how they are printed: raw values, their median, the ratio of both sides. */

export interface Comparison {
  readonly what: string;
  readonly unit: string;
  /** Raw values of ours and of the peer's, in the order of the rounds. */
  readonly ours: readonly number[];
  readonly peer?: { readonly name: string; readonly values: readonly number[] };
  /** What we want, in words. */
  readonly goal?: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

const round = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const list = (values: readonly number[]) => values.map(round).join(" ");

/** Lines for people. */
export function comparisonLines(comparison: Comparison): string[] {
  const { what, unit, ours, peer, goal } = comparison;
  const lines = [what, `  berth   ${round(median(ours))} ${unit}   (${list(ours)})`];
  if (peer !== undefined) {
    const ratios = ours.map((value, index) => value / (peer.values[index] ?? Number.NaN));
    lines.push(`  ${peer.name}   ${round(median(peer.values))} ${unit}   (${list(peer.values)})`);
    lines.push(
      `  ratio   ${median(ratios).toFixed(2)}   (${ratios.map((r) => r.toFixed(2)).join(" ")})`,
    );
  }
  if (goal !== undefined) lines.push(`  goal    ${goal}`);
  return lines;
}
