/**
 * What must hold for every input: the loader never throws, takes time in proportion to the text, names what is wrong,
 * and what it prints loads to what prints the same.
 */

import { memoryFiles } from "../src/files.ts";
import { loadCompose } from "../src/load/load.ts";
import type { ComposeProject } from "../src/model/project-model.ts";
import type { ComposeService } from "../src/model/service-model.ts";
import { printCanonical, printMerged } from "../src/print/print.ts";
import type { StackInput } from "./stack-inputs.ts";

/** Of the processor, for any input: starting, warming up, collecting garbage. */
const BASE_MS = 1_000;
/** Beside it for each KB of text: 30 times what the benchmark needs. */
const MS_EACH_KB = 5;
const ENVIRONMENT = { X: "xval", COMPOSE_PROJECT_NAME: "fuzz" };

/** What an input gave: `wrong` is what must never be. */
export interface Finding {
  readonly loaded: boolean;
  /** The canonical JSON, where it loaded. */
  readonly printed?: string;
  readonly wrong?: string;
}

/** See the module comment. */
export function checkInput({ files }: StackInput): Finding {
  const size = files.reduce((sum, [, text]) => sum + text.length, 0);
  const started = process.cpuUsage();
  try {
    const finding = load(files);
    const usedMs = process.cpuUsage(started).user / 1000;
    const allowedMs = BASE_MS + (size / 1024) * MS_EACH_KB;
    return usedMs > allowedMs
      ? { ...finding, wrong: `took ${Math.round(usedMs)} ms for ${size} characters` }
      : finding;
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { loaded: false, wrong: `threw ${words}` };
  }
}

function load(files: StackInput["files"]): Finding {
  const placed = files.map(([name, text]): [string, string] => [`/p/${name}`, text]);
  const options = {
    files: placed.map(([path]) => path),
    environment: ENVIRONMENT,
    fs: memoryFiles(Object.fromEntries(placed)),
  };
  // As it is written: it says something for every model that can be merged, and never throws.
  const asWritten = loadCompose({ ...options, interpolate: false, checkConsistency: false });
  if (asWritten.ok) printMerged(asWritten.merged ?? new Map(), "yaml");
  const result = loadCompose(options);
  if (!result.ok) {
    const none = result.problems.length === 0;
    return none ? { loaded: false, wrong: "is refused without a reason" } : { loaded: false };
  }
  const printed = printCanonical(result.project, "json");
  const hasDollarKey = hasKey(result.project, (key) => key.includes("$"));
  const hasEmptyKey = /^ *"": /m.test(printed);
  const isOwn =
    hasDollarKey ||
    hasEmptyKey ||
    isLostInProject(result.project) ||
    Object.values(result.project.services).some(isLostInPrint);
  for (const format of ["json", "yaml"] as const) {
    if (isOwn) continue;
    const again = printCanonical(result.project, format);
    const second = loadCompose({
      files: ["/p/c.yaml"],
      environment: ENVIRONMENT,
      fs: memoryFiles({ "/p/c.yaml": again }),
    });
    if (!second.ok) {
      const [first] = second.problems;
      return {
        loaded: true,
        printed,
        wrong: `its ${format} is refused: ${first?.path} ${first?.message}`,
      };
    }
    if (printCanonical(second.project, format) !== again) {
      return { loaded: true, printed, wrong: `its ${format} loads to something else` };
    }
  }
  return { loaded: true, printed };
}

/**
 * What the canonical form cannot say, here as in the reference: its JSON has words of its own for block devices, and none for a
 * limit of 0 and a device without a path; a list of no devices, or none of them, means all when it is gone; so do an empty
 * network mode, an empty build context and a hook of `watch` that runs nothing.
 */
function isLostInPrint(service: ComposeService): boolean {
  const { blkioConfig, build, gpus, deploy, networkMode, develop } = service;
  if (networkMode === "" || blkioConfig !== undefined) return true;
  if (develop?.watch?.some(({ exec }) => exec?.command === null)) return true;
  // A mapping of hosts without addresses prints as an empty list, which is nothing when it is read.
  if (service.extraHosts?.length === 0 || build?.extraHosts?.length === 0) return true;
  if (service.devices?.some(({ source }) => source === "")) return true;
  const { context } = build ?? {};
  if (context?.kind === "local" && context.directory.original === "") return true;
  const limits = [...Object.values(service.ulimits ?? {}), ...Object.values(build?.ulimits ?? {})];
  if (limits.some((limit) => limit.soft === 0 || limit.hard === 0)) return true;
  const resources = deploy?.resources;
  const devices = [
    ...(gpus ?? []),
    ...(resources?.limits?.devices ?? []),
    ...(resources?.reservations?.devices ?? []),
  ];
  return devices.some(
    ({ deviceIds, capabilities, count }) =>
      deviceIds?.length === 0 || capabilities?.length === 0 || count === 0,
  );
}

/** Whether a mapping anywhere in `value` has such a key. JSON leaves keys out that YAML prints, so that no text shows it. */
function hasKey(value: unknown, test: (key: string) => boolean): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some((each) => hasKey(each, test));
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return entries.some(([key, each]) => test(String(key)) || hasKey(each, test));
}

/**
 * What does not load again, here as in the reference: an empty name, which only a list may have, a key with a dollar, which is doubled with all others though keys have no
 * variables, and a dependency that may be missing, whose service is of no active profile.
 */
function isLostInProject({ services }: ComposeProject): boolean {
  const names = new Set(Object.keys(services));
  return Object.values(services).some(({ dependsOn }) =>
    Object.keys(dependsOn ?? {}).some((name) => !names.has(name)),
  );
}
