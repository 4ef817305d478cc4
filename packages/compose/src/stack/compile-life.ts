/** How a service lives: restarts, copies, updates, dependencies. */

import type { DependencySpec, RestartSpec, ServiceSpec, UpdateSpec } from "@berth/protocol";
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
export function compileRestart(service: ComposeService, isJob: boolean): RestartSpec {
  const deploy = service.deploy?.restartPolicy;
  // A restart_policy that names no condition means any, as the specification says.
  const condition = deploy === undefined ? service.restart?.policy : (deploy.condition ?? "any");
  const maxAttempts = deploy?.maxAttempts ?? service.restart?.maxRetries;
  if (condition === "none" || condition === "no") return { policy: "no" };
  if (condition === undefined && isJob) return { policy: "no" };
  const policy =
    condition === "any" || condition === "always" || condition === "unless-stopped"
      ? isJob
        ? "on-failure"
        : "always"
      : "on-failure";
  return presentFields<RestartSpec>({ policy, maxAttempts });
}

export function compileMode(
  name: string,
  service: ComposeService,
  options: { readonly isJob: boolean; readonly problems: ProblemList },
): Pick<ServiceSpec, "mode" | "copies"> {
  const mode = service.deploy?.mode;
  const copies = service.scale ?? service.deploy?.replicas ?? 1;
  if (mode === "global") return { mode: "global", copies: 0 };
  if (mode === "global-job") {
    options.problems.warn(
      ["services", name, "deploy", "mode"],
      `global-job runs ${copies === 1 ? "once" : `${copies} times`}, not once on every node`,
    );
  }
  if (options.isJob) return { mode: "job", copies };
  return { mode: "replicated", copies };
}

export function compileUpdate(
  name: string,
  service: ComposeService,
  options: { readonly exclusive: boolean; readonly problems: ProblemList },
): UpdateSpec {
  const update = service.deploy?.updateConfig;
  const wishes = service.xBerth;
  if (options.exclusive && update?.order === "start-first") {
    options.problems.error(
      ["services", name, "deploy", "update_config", "order"],
      "start-first is impossible: the service has a volume or address that only one copy may use at a time; use stop-first, or make the volume shared or per_copy",
    );
  }
  const action = update?.failureAction;
  return {
    order: options.exclusive ? "stop-first" : (update?.order ?? "start-first"),
    parallelism: update?.parallelism ?? 1,
    delayMs: update?.delayMs ?? 0,
    minHealthyMs: wishes?.minHealthyMs ?? update?.monitorMs ?? MIN_HEALTHY_MS,
    progressDeadlineMs: Math.max(
      PROGRESS_DEADLINE_MS_MIN,
      wishes?.progressDeadlineMs ?? PROGRESS_DEADLINE_MS,
    ),
    failureAction: action === "pause" || action === "continue" ? action : "rollback",
  };
}

const CONDITIONS = {
  service_started: "started",
  service_healthy: "healthy",
  service_completed_successfully: "completed",
} as const;

export function compileDependencies(service: ComposeService): Record<string, DependencySpec> {
  return Object.fromEntries(
    Object.entries(service.dependsOn ?? {}).map(([target, { condition, required }]) => [
      target,
      { condition: CONDITIONS[condition], required },
    ]),
  );
}

/** `pull_policy`; a service with a build is built unless it says otherwise. */
export function compilePullPolicy(
  name: string,
  service: ComposeService,
  problems: ProblemList,
): ServiceSpec["pullPolicy"] {
  const policy = service.pullPolicy;
  if (policy === "build" && service.build === undefined) {
    problems.error(["services", name, "pull_policy"], "build needs a build section");
  }
  if (policy === "always" || policy === "never") return policy;
  if (policy === "build" || service.build !== undefined) return "build";
  // `daily` and the like ask for freshness: each deploy looks at the registry.
  return policy === undefined || policy === "missing" || policy === "if_not_present"
    ? "missing"
    : "always";
}
