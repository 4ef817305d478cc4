/**
 * Probes: Compose's `healthcheck` gates readiness, `x-berth.probes` says more. Where both speak of
 * readiness, `x-berth` wins.
 */

import type { Probe as ProbeSpec, Probes as ProbesSpec } from "@berth/protocol";
import type { Probe, ProbeAction } from "../model/berth-model.ts";
import type { Healthcheck } from "../model/deploy-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ProblemList } from "./compile-problem.ts";
import { presentFields } from "./present-fields.ts";

/** Defaults of the Compose Specification (and Docker) for `healthcheck`. */
const HEALTHCHECK_DEFAULTS = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  retries: 3,
  startPeriodMs: 0,
  /** Docker says 5 s; asking sooner makes a service ready sooner and costs little. */
  startIntervalMs: 500,
} as const;

/** Defaults for probes under `x-berth`. */
const PROBE_DEFAULTS = { intervalMs: 5_000, timeoutMs: 2_000, success: 1, failure: 3 } as const;

export function compileProbes(
  name: string,
  service: ComposeService,
  problems: ProblemList,
): ProbesSpec {
  const wishes = service.xBerth?.probes;
  const ready =
    wishes?.ready === undefined
      ? healthcheckProbe(name, service.healthcheck, problems)
      : probeOf(wishes.ready);
  for (const kind of ["startup", "ready", "live"] as const) {
    warnOfGaps(["services", name, "x-berth", "probes", kind], wishes?.[kind], problems);
  }
  return presentFields<ProbesSpec>({
    startup: wishes?.startup === undefined ? undefined : probeOf(wishes.startup),
    ready,
    live: wishes?.live === undefined ? undefined : probeOf(wishes.live),
  });
}

function probeOf(probe: Probe): ProbeSpec {
  return {
    check: checkOf(probe.action),
    startPeriodMs: probe.delayMs ?? 0,
    startIntervalMs: HEALTHCHECK_DEFAULTS.startIntervalMs,
    intervalMs: rhythm(probe.intervalMs || PROBE_DEFAULTS.intervalMs),
    timeoutMs: probe.timeoutMs || PROBE_DEFAULTS.timeoutMs,
    successThreshold: probe.success ?? PROBE_DEFAULTS.success,
    failureThreshold: probe.failure ?? PROBE_DEFAULTS.failure,
  };
}

/** Nothing is asked more often than this: an agent has hundreds of containers to ask. */
const INTERVAL_MS_MIN = 10;

function rhythm(intervalMs: number): number {
  return Math.max(INTERVAL_MS_MIN, intervalMs);
}

function checkOf(action: ProbeAction): ProbeSpec["check"] {
  switch (action.kind) {
    case "http": {
      const from = Math.min(...action.status.map((range) => range.from));
      const to = Math.max(...action.status.map((range) => range.to));
      return {
        kind: "http",
        port: action.port,
        path: action.path,
        headers: action.headers,
        ...(action.status.length === 0 ? {} : { statusMin: from, statusMax: to }),
      };
    }
    case "tcp":
      return { kind: "tcp", port: action.port };
    case "grpc":
      return { kind: "grpc", port: action.port, service: action.service };
    case "exec":
      return { kind: "exec", command: action.command };
  }
}

/** A check accepts one range of codes: what lies between several is accepted, too. */
function warnOfGaps(
  path: readonly (string | number)[],
  probe: Probe | undefined,
  problems: ProblemList,
): void {
  if (probe?.action.kind !== "http") return;
  const ranges = probe.action.status.toSorted((a, b) => a.from - b.from);
  let reached = ranges[0]?.to ?? 0;
  for (const { from, to } of ranges.slice(1)) {
    if (from > reached + 1) {
      const gap = from - reached === 2 ? `${from - 1}` : `${reached + 1} to ${from - 1}`;
      problems.warn([...path, "http"], `status is taken as one range: ${gap} are accepted, too`);
    }
    reached = Math.max(reached, to);
  }
}

function healthcheckProbe(
  name: string,
  check: Healthcheck | undefined,
  problems: ProblemList,
): ProbeSpec | undefined {
  if (check === undefined || check.disable === true) return undefined;
  const [kind, ...words] = check.test ?? [];
  if (kind === "NONE") return undefined;
  const command = kind === "CMD-SHELL" ? ["/bin/sh", "-c", ...words] : words;
  if (kind === undefined || command.length === 0) {
    problems.warn(
      ["services", name, "healthcheck"],
      "has no test: the image's own health check is not read; readiness is a TCP check on the service's ports",
    );
    return undefined;
  }
  return {
    check: { kind: "exec", command },
    startPeriodMs: check.startPeriodMs ?? HEALTHCHECK_DEFAULTS.startPeriodMs,
    // Zero means "the default" in Docker, here and below.
    startIntervalMs: rhythm(check.startIntervalMs || HEALTHCHECK_DEFAULTS.startIntervalMs),
    intervalMs: rhythm(check.intervalMs || HEALTHCHECK_DEFAULTS.intervalMs),
    timeoutMs: check.timeoutMs || HEALTHCHECK_DEFAULTS.timeoutMs,
    successThreshold: 1,
    failureThreshold: check.retries || HEALTHCHECK_DEFAULTS.retries,
  };
}
