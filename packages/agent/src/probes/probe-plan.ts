/**
 * What is checked of a container: its file's probes, or by default whether something listens on the ports
 * that its file names. Pure.
 *
 * Ports of the image's EXPOSE never count: many images expose what they do not open.
 */

import { SECOND_MS } from "@berth/base";
import type { Assignment, Probe, ProbeCheck } from "@berth/protocol";

export const PROBE_KINDS = ["startup", "ready", "live"] as const;
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** A probe with where its checks go. All checks must succeed. */
export interface PlannedProbe {
  readonly timing: Omit<Probe, "check">;
  readonly checks: readonly ProbeCheck[];
}

export interface ProbePlan {
  /** Where the container's ports are reached from its host; absent when they are not. */
  readonly address: string | undefined;
  readonly probes: Readonly<Partial<Record<ProbeKind, PlannedProbe>>>;
}

/** Rhythm of the default check: a TCP connection costs next to nothing. */
const DEFAULT_TIMING: PlannedProbe["timing"] = {
  startPeriodMs: 0,
  startIntervalMs: 500,
  intervalMs: 5 * SECOND_MS,
  timeoutMs: 2 * SECOND_MS,
  successThreshold: 1,
  failureThreshold: 3,
};

/** `main` is the assignment of the pod's first task, for tasks that share its network. */
export function probePlan(assignment: Assignment, main?: Assignment): ProbePlan {
  const { probes } = assignment.spec;
  const address = probeAddress(assignment, main);
  const planned: Partial<Record<ProbeKind, PlannedProbe>> = {};
  for (const kind of PROBE_KINDS) {
    const probe = probes[kind];
    if (probe === undefined) continue;
    const { check, ...timing } = probe;
    planned[kind] = { timing, checks: [check] };
  }
  const ports = gatingPorts(assignment);
  if (planned.ready === undefined && ports.length > 0 && address !== undefined) {
    const checks = ports.map((port) => ({ kind: "tcp" as const, port }));
    planned.ready = { timing: DEFAULT_TIMING, checks };
  }
  return { address, probes: planned };
}

/** TCP ports of `ports`, `expose` and routes, each once. */
export function gatingPorts({ spec }: Assignment): readonly number[] {
  const published = spec.ports.filter(({ protocol }) => protocol === "tcp");
  const all = [
    ...published.map(({ target }) => target),
    ...spec.expose,
    // A redirect is answered before any copy.
    ...spec.routes.filter(({ redirect }) => redirect === undefined).map(({ port }) => port),
    ...(spec.tcpRoutes ?? []).map(({ port }) => port),
  ];
  return [...new Set(all)].sort((a, b) => a - b);
}

function probeAddress(assignment: Assignment, main: Assignment | undefined): string | undefined {
  const shares = assignment.spec.podShares ?? ["network"];
  if (assignment.task.podTask !== undefined && shares.includes("network")) {
    return main === undefined ? undefined : probeAddress(main, undefined);
  }
  if (assignment.spec.networkMode === "host") return "127.0.0.1";
  return assignment.task.attachments[0]?.address;
}
