/** How large a run is: machines, stacks, and how long the trouble lasts. */

import { MINUTE_MS, type Prng } from "@berth/base";

type Range = readonly [min: number, max: number];

export interface Scale {
  readonly machines: Range;
  /** Time of users and faults, milliseconds. */
  readonly troubleMs: Range;
  /** Stacks that users work on; with more machines more. */
  readonly stacks: Range;
  /** Everything that waits (back-off, quarantine, deadlines of rollouts) is over within this, milliseconds. */
  readonly calmMsMax: number;
}

export const SCALES = {
  /** Of the fixed seeds: as many different beginnings as a test suite has time for. */
  small: {
    machines: [3, 3],
    troubleMs: [1 * MINUTE_MS, 2 * MINUTE_MS],
    stacks: [2, 4],
    calmMsMax: 6 * MINUTE_MS,
  },
  medium: {
    machines: [3, 7],
    troubleMs: [2 * MINUTE_MS, 4 * MINUTE_MS],
    stacks: [2, 4],
    calmMsMax: 8 * MINUTE_MS,
  },
  /** Of a long run: half of the seeds have more than twelve machines. */
  large: {
    machines: [3, 50],
    troubleMs: [30 * MINUTE_MS, 40 * MINUTE_MS],
    stacks: [3, 6],
    calmMsMax: 15 * MINUTE_MS,
  },
} as const satisfies Readonly<Record<string, Scale>>;
export type ScaleName = keyof typeof SCALES;

/** A further stack for so many machines. */
const MACHINES_PER_STACK = 4;

export interface DrawnScale {
  readonly machines: number;
  readonly troubleMs: number;
  readonly stacks: number;
  readonly calmMsMax: number;
}

/** Small clusters as often as large ones: each doubling of machines is as likely as the next. */
export function drawScale(scale: Scale, prng: Prng, fixedMachines?: number): DrawnScale {
  const [min, max] = scale.machines;
  const drawn = Math.round(min * (max / min) ** prng.float());
  const machines = fixedMachines ?? drawn;
  const troubleMs = prng.int(...scale.troubleMs);
  const more = Math.floor((machines - min) / MACHINES_PER_STACK);
  const stacks = prng.int(...scale.stacks) + Math.max(0, more);
  return { machines, troubleMs, stacks, calmMsMax: scale.calmMsMax };
}
