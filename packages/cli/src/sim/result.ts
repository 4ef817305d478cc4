/** What a run of `berth sim` found, before it becomes words, JSON or a picture. */

import type { Use } from "@berth/scheduler/trace/summary";
import type { FillingPoint } from "./filling.ts";

export interface SimResult extends Use {
  /** Placements made; a task that was lost with its node and placed again counts twice. */
  readonly placed: number;
  readonly refused: number;
  /** Tasks that hold a place at the end. */
  readonly running: number;
  /** The most hosts that were in use at one time. */
  readonly hostsUsedMost: number;
  /** Of the decisions, without reading and writing. */
  readonly timeMs: number;
  readonly placementsPerSecond: number;
  readonly filling: readonly FillingPoint[];
  /** Node by ask at the end. */
  readonly placements: ReadonlyMap<string, string>;
  /** What only one mode knows, as it stands in the JSON summary. */
  readonly more?: Readonly<Record<string, unknown>>;
}
