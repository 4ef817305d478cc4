/** The kinds of trouble as data: what each is, how often it comes and how long it lasts. */

export interface TroubleKind {
  /** What happens, for the summary of a run. */
  readonly what: string;
  /** Mean time between two of the kind, for three machines; more machines have more of those that hit one. */
  readonly meanMs: number;
  /** How long it lasts, shortest and longest; a blow that is over at once has none. */
  readonly lastsMs?: readonly [number, number];
  /** Hits one machine; others hit the server or everything. */
  readonly hits: "machine" | "server" | "all";
}

export const TROUBLES = {
  killServer: {
    what: "kill -9 of the server",
    meanMs: 45_000,
    lastsMs: [50, 8_000],
    hits: "server",
  },
  killAgent: { what: "kill -9 of an agent", meanMs: 25_000, lastsMs: [50, 6_000], hits: "machine" },
  crashEngine: {
    what: "an engine crashes, with or without its containers",
    meanMs: 40_000,
    lastsMs: [100, 10_000],
    hits: "machine",
  },
  powerOff: {
    what: "a host loses its power and boots",
    meanMs: 70_000,
    lastsMs: [2_000, 20_000],
    hits: "machine",
  },
  cutLine: {
    what: "a line is cut both ways",
    meanMs: 35_000,
    lastsMs: [500, 60_000],
    hits: "machine",
  },
  cutOneWay: {
    what: "a line is cut one way only",
    meanMs: 50_000,
    lastsMs: [500, 25_000],
    hits: "machine",
  },
  killContainer: { what: "a container's process is killed", meanMs: 15_000, hits: "machine" },
  changeFaults: {
    what: "delays, losses, strays and failing calls change",
    meanMs: 20_000,
    hits: "machine",
  },
  slowDisk: {
    what: "an agent's disk takes up to 3 s for a write",
    meanMs: 60_000,
    lastsMs: [2_000, 20_000],
    hits: "machine",
  },
  fullDisk: {
    what: "an agent's disk is full",
    meanMs: 80_000,
    lastsMs: [1_000, 15_000],
    hits: "machine",
  },
  slowEngine: {
    what: "an engine takes up to 40 times as long",
    meanMs: 60_000,
    lastsMs: [2_000, 20_000],
    hits: "machine",
  },
  setClock: {
    what: "a host's wall clock is wrong by up to 20 s",
    meanMs: 60_000,
    lastsMs: [5_000, 60_000],
    hits: "machine",
  },
  fullStore: {
    what: "the store refuses every call",
    meanMs: 90_000,
    lastsMs: [500, 8_000],
    hits: "all",
  },
  slowStore: {
    what: "the store takes up to 2 s for each way of a call",
    meanMs: 90_000,
    lastsMs: [1_000, 10_000],
    hits: "all",
  },
} as const satisfies Readonly<Record<string, TroubleKind>>;

export type Trouble = keyof typeof TROUBLES;

/** Machines for which `meanMs` holds. */
export const MACHINES_OF_MEAN = 3;

export const SLOW_DISK_MS_MAX = 3_000;
export const SLOW_ENGINE_MAX = 40;
export const CLOCK_SKEW_MS_MAX = 20_000;
export const SLOW_STORE_MS_MAX = 2_000;
