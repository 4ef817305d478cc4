/**
 * The rules of the house as data: who may import whom, which folders are pure, how large things may grow.
 * `tools/tidy.test.ts` enforces them. Exceptions carry a reason, and their list may only shrink.
 */

/** Packages and the packages of ours that each may import. `docs/adr/0002-layers.md` says why. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ["base"],
  scheduler: ["base"],
  compose: ["base", "protocol"],
  network: ["base", "protocol"],
  agent: ["base", "protocol", "network"],
  "control-plane": ["base", "protocol", "scheduler"],
  sim: ["base", "protocol", "compose", "scheduler", "network", "agent", "control-plane"],
  cli: ["base", "protocol", "compose", "scheduler", "network", "agent", "control-plane", "sim"],
};

/**
 * Folders and files whose code decides and touches nothing: no Node modules, no clock, no chance, no
 * network. Everything comes in as arguments.
 */
export const PURE_PATHS: readonly string[] = [
  "packages/base/src",
  "packages/protocol/src/resources",
  "packages/protocol/src/task-state.ts",
  "packages/protocol/src/keys.ts",
  "packages/scheduler/src",
  "packages/control-plane/src/reconcile",
  "packages/agent/src/task/step.ts",
];

/** Node modules that only compute, allowed in pure paths. */
export const PURE_MODULES: readonly string[] = ["node:path/posix"];

/** Words that pure code must not contain, with what to use instead. */
export const IMPURE_WORDS: readonly { readonly word: RegExp; readonly instead: string }[] = [
  { word: /\bDate\.now\(/, instead: "`now` as an argument, or a Clock" },
  { word: /\bnew Date\(\)/, instead: "`now` as an argument, or a Clock" },
  { word: /\bperformance\.now\(/, instead: "a Clock" },
  { word: /\bMath\.random\(/, instead: "a Prng" },
  { word: /\bset(Timeout|Interval|Immediate)\(/, instead: "a Clock, or a loop of the Driver" },
  { word: /\bfetch\(/, instead: "a port" },
  { word: /\bprocess\./, instead: "an argument" },
];

/** The one place of ports that may read the real clock. */
export const PURE_EXCEPTIONS: Readonly<Record<string, string>> = {
  "packages/base/src/clock.ts": "implements the Clock port over the machine's clock",
};

export const FILE_LINES_MAX = 500;
export const TEST_LINES_MAX = 1_000;
export const FUNCTION_LINES_MAX = 70;

/** File names that say nothing. */
export const BANNED_FILE_NAMES: readonly string[] = [
  "utils",
  "util",
  "helpers",
  "helper",
  "common",
  "misc",
  "types",
  "shared",
];

/** Files over the cap, with the reason. May only shrink. */
export const LONG_FILES: Readonly<Record<string, string>> = {
  "packages/protocol/src/api/routes.ts": "a table: one row a route",
};

/** Functions over the cap as `file#function`, with the reason. May only shrink. */
export const LONG_FUNCTIONS: Readonly<Record<string, string>> = {};
