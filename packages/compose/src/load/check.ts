/**
 * Consistency: references that lead nowhere, keys that exclude each other, circles of dependencies.
 *
 * Everything here needs more than one key to be seen; what one key can tell is its reader's business.
 */

import { nearestWord } from "@berth/base";
import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ComposeProblem, Problems } from "../problem.ts";
import type { Check } from "./check-context.ts";
import { checkDependencies } from "./check-dependencies.ts";
import type { TreeSourceMap } from "./source-map.ts";

/** Records what does not fit together in `project`. `allServices` has the services of inactive profiles, too. */
export function checkProject(
  project: ComposeProject,
  allServices: readonly string[],
  sources: TreeSourceMap,
  problems: Problems,
): void {
  const check: Check = {
    project,
    allServices,
    wrote: (path) => sources.has(path),
    hasErrorThat: (is) => problems.hasErrorThat(is),
    error: (...args) => sources.error(problems, ...args),
  };
  for (const [name, service] of Object.entries(project.services)) {
    const path = `services.${name}`;
    checkImage(check, service, path);
    checkReferences(check, service, path);
    checkTwins(check, service, path);
    checkHealth(check, service, path);
    checkWatch(check, service, path);
  }
  checkExternals(check);
  checkDependencies(check);
}

function checkImage(check: Check, service: ComposeService, path: string): void {
  const { build, image, platform } = service;
  if (
    build === undefined &&
    (image === undefined || image === "") &&
    service.provider === undefined
  ) {
    const unread = image === undefined && check.wrote(`${path}.image`);
    if (unread || check.wrote(`${path}.build`) || check.wrote(`${path}.provider`)) return;
    // It would have come by an `extends` or a `<<` that failed, has a variable that did, or stands there misspelled.
    const isMeant = (problem: ComposeProblem) =>
      problem.path.includes(".extends") ||
      problem.path === `${path}.image` ||
      problem.path.startsWith(`${path}.<<`) ||
      (problem.path.startsWith(`${path}.`) && /^(image|build)/.test(problem.suggestion ?? ""));
    if (check.hasErrorThat(isMeant)) return;
    check.error(path, "has neither image nor build", {
      absence: true,
      expected: "one of the two",
    });
  }
  if (build?.dockerfile !== undefined && build.dockerfileInline !== undefined) {
    check.error(`${path}.build`, "dockerfile and dockerfile_inline exclude each other");
  }
  const platforms = build?.platforms ?? [];
  if (platform !== undefined && platforms.length > 0 && !platforms.includes(platform)) {
    check.error(
      `${path}.build.platforms`,
      `does not have the service's platform ${JSON.stringify(platform)}`,
    );
  }
  for (const [name, context] of Object.entries(build?.additionalContexts ?? {})) {
    if (context.kind !== "remote" || !context.url.startsWith("service:")) continue;
    const target = context.url.slice("service:".length);
    if (check.project.services[target]?.build !== undefined) continue;
    check.error(
      `${path}.build.additional_contexts.${name}`,
      `there is no service ${target} with a build`,
      { absence: true },
    );
  }
}

function checkReferences(check: Check, service: ComposeService, path: string): void {
  const { project } = check;
  if (service.networkMode !== undefined && Object.keys(service.networks ?? {}).length > 0) {
    check.error(`${path}.network_mode`, "network_mode and networks exclude each other");
  }
  for (const name of Object.keys(service.networks ?? {})) {
    refer(check, `${path}.networks.${name}`, name, { kind: "network", among: project.networks });
  }
  for (const [index, mount] of (service.volumes ?? []).entries()) {
    if (mount.type !== "volume" || mount.source === undefined) continue;
    refer(check, `${path}.volumes[${index}]`, mount.source, {
      kind: "volume",
      among: project.volumes,
    });
  }
  for (const [index, { source }] of (service.configs ?? []).entries()) {
    refer(check, `${path}.configs[${index}]`, source, { kind: "config", among: project.configs });
  }
  for (const [index, { source }] of (service.secrets ?? []).entries()) {
    refer(check, `${path}.secrets[${index}]`, source, { kind: "secret", among: project.secrets });
  }
  for (const [index, { source }] of (service.build?.secrets ?? []).entries()) {
    refer(check, `${path}.build.secrets[${index}]`, source, {
      kind: "secret",
      among: project.secrets,
    });
  }
  for (const name of Object.keys(service.models ?? {})) {
    refer(check, `${path}.models.${name}`, name, { kind: "model", among: project.models });
  }
}

function refer(
  check: Check,
  path: string,
  name: string,
  { kind, among }: { readonly kind: string; readonly among: Readonly<Record<string, unknown>> },
): void {
  if (Object.hasOwn(among, name) || (name !== "" && check.wrote(`${kind}s.${name}`))) return;
  check.error(path, `there is no ${kind} ${JSON.stringify(name)} in the file`, {
    absence: true,
    suggestion: nearestWord(name, Object.keys(among)),
    expected: expectedName(kind, Object.keys(among)),
  });
}

/** The names to choose from, or where to declare the first one. */
function expectedName(kind: string, names: readonly string[]): string {
  if (names.length === 0) return `${kind}s at the top of the file that declare it`;
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(", ");
  const more = names.length - NAMES_SHOWN_MAX;
  return `one of the top-level ${kind}s: ${shown}${more > 0 ? ` and ${more} more` : ""}`;
}

/** More names than this are a list that nobody reads. */
const NAMES_SHOWN_MAX = 8;

/** Keys that say the same in two places must say it alike. */
function checkTwins(check: Check, service: ComposeService, path: string): void {
  const { deploy, scale } = service;
  const limits = deploy?.resources?.limits;
  const reservations = deploy?.resources?.reservations;
  const twins = [
    ["scale", scale, "deploy.replicas", deploy?.replicas],
    ["cpus", service.cpuMillis, "deploy.resources.limits.cpus", limits && (limits.cpuMillis ?? 0)],
    [
      "mem_limit",
      service.memLimitBytes,
      "deploy.resources.limits.memory",
      limits && (limits.memoryBytes ?? 0),
    ],
    [
      "mem_reservation",
      service.memReservationBytes,
      "deploy.resources.reservations.memory",
      reservations && (reservations.memoryBytes ?? 0),
    ],
    ["pids_limit", service.pidsLimit, "deploy.resources.limits.pids", limits && (limits.pids ?? 0)],
  ] as const;
  for (const [key, value, otherKey, other] of twins) {
    const unset = value === undefined || other === undefined || (key !== "scale" && value === 0);
    if (unset || Math.fround(value) === Math.fround(other)) continue;
    check.error(`${path}.${key}`, `differs from ${otherKey}: say it in one place`);
  }
  const copies = scale ?? deploy?.replicas ?? 1;
  if (service.containerName !== undefined && service.containerName !== "" && copies > 1) {
    check.error(`${path}.container_name`, `${copies} copies cannot have one name`);
  }
}

function checkHealth(check: Check, service: ComposeService, path: string): void {
  const [first] = service.healthcheck?.test ?? [];
  if (first === undefined || ["CMD", "CMD-SHELL", "NONE"].includes(first)) return;
  check.error(`${path}.healthcheck.test`, `begins with ${JSON.stringify(first)}`, {
    expected: 'a list that begins with "CMD", "CMD-SHELL" or "NONE"',
  });
}

function checkWatch(check: Check, service: ComposeService, path: string): void {
  for (const [index, watch] of (service.develop?.watch ?? []).entries()) {
    if (watch.target !== undefined || watch.action === "rebuild" || watch.action === "restart")
      continue;
    check.error(`${path}.develop.watch[${index}]`, "the key target is missing", { absence: true });
  }
}

function checkExternals(check: Check): void {
  for (const [name, volume] of Object.entries(check.project.volumes)) {
    if (volume.external !== true) continue;
    for (const [key, value] of Object.entries({
      driver: volume.driver,
      driver_opts: volume.driverOpts,
      labels: volume.labels,
    })) {
      if (value !== undefined)
        check.error(`volumes.${name}.${key}`, `external and ${key} exclude each other`);
    }
  }
}
