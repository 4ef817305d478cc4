/** How a service lives: restarts, copies, updates, dependencies. */

import type {
  DependencySpec,
  RestartSpec,
  RollbackSpec,
  ServiceSpec,
  UpdateSpec,
} from "@berth/protocol";
import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ProblemList } from "./compile-problem.ts";
import { presentFields } from "./present-fields.ts";

/** A copy counts once it has been ready for this long; printed with each rollout. */
export const MIN_HEALTHY_MS = 5_000;
/** A rollout that makes no progress for this long has failed. */
export const PROGRESS_DEADLINE_MS = 300_000;
/** Shorter ones would fail while the first container is being made. */
const PROGRESS_DEADLINE_MS_MIN = 1_000;
export const STOP_GRACE_MS = 10_000;
export const DRAIN_MS = 30_000;
export const PRIORITY = 50;

/** Services that others wait for to complete: jobs, whatever their `restart` says not. */
export function completionTargets(project: ComposeProject): ReadonlySet<string> {
  return new Set(
    Object.values(project.services).flatMap((service) =>
      Object.entries(service.dependsOn ?? {})
        .filter(([, { condition }]) => condition === "service_completed_successfully")
        .map(([target]) => target),
    ),
  );
}

/**
 * `deploy.restart_policy` wins over `restart`. Without either, a failure is restarted and an exit with code
 * 0 is an end: long-running services do not exit 0, and one-shot ones need no word for it.
 */
export function compileRestart(
  name: string,
  service: ComposeService,
  { isJob, problems }: { readonly isJob: boolean; readonly problems: ProblemList },
): RestartSpec {
  if (service.restart?.policy === "unknown") {
    problems.error(
      ["services", name, "restart"],
      `is ${JSON.stringify(service.restart.written)}; expected "no", "always", "on-failure[:TIMES]" or "unless-stopped"`,
    );
  }
  const deploy = service.deploy?.restartPolicy;
  // A restart_policy that names no condition means any, as the specification says.
  const condition = deploy === undefined ? service.restart?.policy : (deploy.condition ?? "any");
  if (deploy !== undefined) {
    const at = ["services", name, "deploy", "restart_policy", "condition"];
    oneOfWords(deploy.condition, RESTART_CONDITIONS, at, problems);
  }
  const maxAttempts = deploy?.maxAttempts ?? service.restart?.maxRetries;
  if (condition === "none" || condition === "no") return { policy: "no" };
  if (condition === undefined && isJob) return { policy: "no" };
  const policy =
    condition === "any" || condition === "always" || condition === "unless-stopped"
      ? isJob
        ? "on-failure"
        : "always"
      : "on-failure";
  return presentFields<RestartSpec>({
    policy,
    maxAttempts,
    delayMs: deploy?.delayMs,
    windowMs: deploy?.windowMs,
  });
}

/** The specification's three, and what people carry over from `restart`. */
const RESTART_CONDITIONS = ["none", "on-failure", "any", "no", "always", "unless-stopped"] as const;

const MODES = ["replicated", "global", "replicated-job", "global-job"] as const;

export function compileMode(
  name: string,
  service: ComposeService,
  options: { readonly isJob: boolean; readonly problems: ProblemList },
): Pick<ServiceSpec, "mode" | "copies" | "everyNode"> {
  const path = ["services", name, "deploy", "mode"];
  const mode = oneOfWords(service.deploy?.mode, MODES, path, options.problems);
  const copies = service.scale ?? service.deploy?.replicas ?? 1;
  if (mode === "global" || mode === "global-job") {
    return options.isJob
      ? { mode: "job", copies: 0, everyNode: true }
      : { mode: "global", copies: 0 };
  }
  if (options.isJob) return { mode: "job", copies };
  return { mode: "replicated", copies };
}

/** The word, or an error that names those there are: the specification leaves these keys to platforms. */
function oneOfWords<Word extends string>(
  text: string | undefined,
  words: readonly Word[],
  path: readonly string[],
  problems: ProblemList,
): Word | undefined {
  if (text === undefined || text === "") return undefined;
  const word = words.find((each) => each === text);
  if (word === undefined) problems.error(path, `"${text}" is not known: ${words.join(", ")}`);
  return word;
}

const FAILURE_ACTIONS = ["rollback", "pause", "continue"] as const;

export function compileUpdate(
  name: string,
  service: ComposeService,
  options: { readonly exclusive: boolean; readonly problems: ProblemList },
): UpdateSpec {
  const update = service.deploy?.updateConfig;
  const wishes = service.xBerth;
  const path = ["services", name, "deploy", "update_config"];
  if (options.exclusive && update?.order === "start-first") {
    options.problems.error([...path, "order"], START_FIRST_IMPOSSIBLE);
  }
  const action = oneOfWords(
    update?.failureAction,
    FAILURE_ACTIONS,
    [...path, "failure_action"],
    options.problems,
  );
  return presentFields<UpdateSpec>({
    order: options.exclusive ? "stop-first" : (update?.order ?? "start-first"),
    parallelism: update?.parallelism ?? 1,
    delayMs: update?.delayMs ?? 0,
    minHealthyMs: wishes?.minHealthyMs ?? update?.monitorMs ?? MIN_HEALTHY_MS,
    progressDeadlineMs: Math.max(
      PROGRESS_DEADLINE_MS_MIN,
      wishes?.progressDeadlineMs ?? PROGRESS_DEADLINE_MS,
    ),
    failureAction: action ?? "rollback",
    maxFailureRatio: update?.maxFailureRatio || undefined,
  });
}

const START_FIRST_IMPOSSIBLE =
  "start-first is impossible: the service has a volume or address that only one copy may use at a time; use stop-first, or make the volume shared or per_copy";

/** `rollback_config`: what it leaves out is as in the update. */
export function compileRollback(
  name: string,
  service: ComposeService,
  options: { readonly exclusive: boolean; readonly problems: ProblemList },
): RollbackSpec | undefined {
  const config = service.deploy?.rollbackConfig;
  if (config === undefined) return undefined;
  const path = ["services", name, "deploy", "rollback_config"];
  if (options.exclusive && config.order === "start-first") {
    options.problems.error([...path, "order"], START_FIRST_IMPOSSIBLE);
  }
  const actions = ["pause", "continue"] as const;
  const at = [...path, "failure_action"];
  return presentFields<RollbackSpec>({
    order: config.order,
    parallelism: config.parallelism,
    delayMs: config.delayMs,
    minHealthyMs: config.monitorMs,
    failureAction: oneOfWords(config.failureAction, actions, at, options.problems),
    maxFailureRatio: config.maxFailureRatio || undefined,
  });
}

const CONDITIONS = {
  service_started: "started",
  service_healthy: "healthy",
  service_completed_successfully: "completed",
} as const;

export function compileDependencies(service: ComposeService): Record<string, DependencySpec> {
  return Object.fromEntries(
    Object.entries(service.dependsOn ?? {}).map(([target, { condition, required, restart }]) => [
      target,
      { condition: CONDITIONS[condition], required, ...(restart === true ? { restart } : {}) },
    ]),
  );
}

/** `pull_policy`; a service with a build is built unless it says otherwise. */
export function compilePullPolicy(
  name: string,
  service: ComposeService,
  problems: ProblemList,
): Pick<ServiceSpec, "pullPolicy" | "pullEveryMs"> {
  const policy = service.pullPolicy;
  if (policy === "build" && service.build === undefined) {
    problems.error(["services", name, "pull_policy"], "build needs a build section");
  }
  if (policy === "always" || policy === "never") return { pullPolicy: policy };
  if (policy === "build" || service.build !== undefined) return { pullPolicy: "build" };
  const after = service.pullRefreshAfter;
  if (after !== undefined && !LONG_DURATION.test(after)) {
    const message = `"${after}" is no time like 12h or 1d`;
    problems.error(["services", name, "pull_refresh_after"], message);
  }
  const pullEveryMs = pullPeriodMs(service);
  return pullEveryMs === undefined
    ? { pullPolicy: "missing" }
    : { pullPolicy: "missing", pullEveryMs };
}

/** `daily`, `weekly`, `every_12h`, or `refresh` with `pull_refresh_after`. */
function pullPeriodMs({ pullPolicy, pullRefreshAfter }: ComposeService): number | undefined {
  if (pullPolicy === "daily") return DAY_MS;
  if (pullPolicy === "weekly") return 7 * DAY_MS;
  if (pullPolicy === "refresh") return parseLongDuration(pullRefreshAfter ?? "24h");
  if (pullPolicy?.startsWith("every_")) return parseLongDuration(pullPolicy.slice(EVERY_CHARS));
  return undefined;
}

const EVERY_CHARS = "every_".length;
const DAY_MS = 24 * 60 * 60 * 1_000;
const UNIT_MS: Readonly<Record<string, number>> = {
  w: 7 * DAY_MS,
  d: DAY_MS,
  h: 60 * 60 * 1_000,
  m: 60 * 1_000,
  s: 1_000,
};

const LONG_DURATION = /^(\d+[wdhms])+$/;

/** `1d12h`: weeks and days besides what durations have elsewhere. */
function parseLongDuration(text: string): number {
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([wdhms])/g)) {
    total += Number(count) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return total;
}
