/**
 * The report of a run as one SVG: how the cluster filled up, and every host with how full it is at the end.
 *
 * It stands alone: no script, no font, no address outside, so that it opens in any browser and in any network.
 */

import type { NodeModel } from "@berth/scheduler";
import type { TraceAsk } from "@berth/scheduler/trace/ask-line";
import { useOf } from "@berth/scheduler/trace/summary";
import type { FillingPoint } from "./filling.ts";
import type { SimResult } from "./result.ts";

const WIDTH = 960;
const CHART = { left: 60, top: 96, width: 640, height: 260 } as const;
const HOSTS_TOP = 420;
/** More cells than this are too small to see; the picture then shows every n-th host. */
const HOSTS_SHOWN_MAX = 4_000;
/** Distinguishable also for readers who do not see red and green apart (Okabe and Ito). */
const COLOURS = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#000000",
] as const;

export interface PictureInput {
  readonly title: string;
  readonly result: SimResult;
  readonly nodes: readonly NodeModel[];
  readonly asks: readonly TraceAsk[];
}

export function pictureOf({ title, result, nodes, asks }: PictureInput): string {
  const names = Object.entries(result.use)
    .filter(([, { used }]) => used > 0)
    .map(([name]) => name)
    .slice(0, COLOURS.length - 1);
  const hosts = hostsPart(result, nodes, asks);
  const words = `${result.placed} placed, ${result.refused} refused, ${result.hostsUsed} of ${nodes.length} hosts in use (at least ${result.lowerBound} needed)`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HOSTS_TOP + hosts.height + 30}" font-family="sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${CHART.left}" y="36" font-size="20">${escaped(title)}</text>`,
    `<text x="${CHART.left}" y="60" fill="#444">${escaped(words)}</text>`,
    // Without looks on the way (offline, rebalance) there is no course to draw, only where it ended.
    ...(result.filling.length === 0 ? [] : axes()),
    ...names.map((name, index) =>
      curve(result.filling, (point) => point.shares[name] ?? 0, colour(index)),
    ),
    curve(result.filling, ({ hostsUsed }) => hostsUsed / Math.max(1, nodes.length), "#888", "4 3"),
    ...legend(names, result),
    `<text x="${CHART.left}" y="${HOSTS_TOP - 16}">hosts at the end, by how full the fullest resource is</text>`,
    ...hosts.lines,
    "</svg>",
    "",
  ].join("\n");
}

function axes(): readonly string[] {
  const { left, top, width, height } = CHART;
  return [0, 0.25, 0.5, 0.75, 1].flatMap((share) => {
    const y = top + height * (1 - share);
    return [
      `<line x1="${left}" x2="${left + width}" y1="${y}" y2="${y}" stroke="#ddd"/>`,
      `<text x="${left - 8}" y="${y + 4}" text-anchor="end" fill="#444">${share * 100} %</text>`,
    ];
  });
}

function curve(
  points: readonly FillingPoint[],
  shareOf: (point: FillingPoint) => number,
  stroke: string,
  dash = "",
): string {
  const last = Math.max(1, points.at(-1)?.changes ?? 1);
  const places = points.map((point) => {
    const x = CHART.left + (CHART.width * point.changes) / last;
    const y = CHART.top + CHART.height * (1 - Math.min(1, shareOf(point)));
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const start = `${CHART.left},${CHART.top + CHART.height}`;
  return `<polyline fill="none" stroke="${stroke}" stroke-width="2" stroke-dasharray="${dash}" points="${[start, ...places].join(" ")}"/>`;
}

function legend(names: readonly string[], result: SimResult): readonly string[] {
  const x = CHART.left + CHART.width + 24;
  const rows = names.map((name, index) => {
    const share = ((result.use[name]?.share ?? 0) * 100).toFixed(1);
    return { words: `${name}: ${share} %`, fill: colour(index) };
  });
  rows.push({ words: `hosts in use: ${result.hostsUsed}`, fill: "#888" });
  return rows.flatMap(({ words, fill }, index) => {
    const y = CHART.top + 10 + index * 22;
    return [
      `<rect x="${x}" y="${y - 10}" width="12" height="12" fill="${fill}"/>`,
      `<text x="${x + 20}" y="${y}">${escaped(words)}</text>`,
    ];
  });
}

function hostsPart(result: SimResult, nodes: readonly NodeModel[], asks: readonly TraceAsk[]) {
  const step = Math.ceil(nodes.length / HOSTS_SHOWN_MAX) || 1;
  const shown = nodes.filter((_, index) => index % step === 0);
  const requestsOf = new Map(asks.map(({ ask }) => [ask.id, ask.requests]));
  const byNode = Map.groupBy(result.placements, ([, node]) => node);
  const size = Math.max(
    6,
    Math.min(28, Math.floor(Math.sqrt((840 * 300) / Math.max(1, shown.length)))),
  );
  const perRow = Math.floor(840 / size);
  const lines = shown.map((node, index) => {
    const placed = (byNode.get(node.id) ?? []).map(([ask]) => ({
      node: node.id,
      requests: requestsOf.get(ask) ?? {},
    }));
    const shares = Object.values(useOf([node], placed, []).use).map(({ share }) => share);
    const full = Math.min(1, Math.max(0, ...shares));
    const x = CHART.left + (index % perRow) * size;
    const y = HOSTS_TOP + Math.floor(index / perRow) * size;
    const label = `${escaped(node.id)}: ${placed.length} tasks, ${(full * 100).toFixed(0)} %`;
    return `<rect x="${x}" y="${y}" width="${size - 1}" height="${size - 1}" fill="${shade(full)}" stroke="#ccc" stroke-width="0.5"><title>${label}</title></rect>`;
  });
  return { lines, height: Math.ceil(shown.length / perRow) * size };
}

/** White for empty, dark blue for full. */
function shade(share: number): string {
  const mix = (from: number, to: number) => Math.round(from + (to - from) * share);
  return `rgb(${mix(255, 0)},${mix(255, 70)},${mix(255, 140)})`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "#000000";
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
