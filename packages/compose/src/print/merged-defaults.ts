/** What the merged form says beyond the files: names of resources, the default network, dependencies that other keys imply. */

import type { Printed } from "../codec/codec.ts";
import type { MergedPlace, MutableForm } from "./merged-place.ts";

/** Adds it to `form`, which is changed and returned. */
export function withImplied(form: MutableForm, place: MergedPlace): MutableForm {
  form.set("name", place.name);
  const services = form.get("services");
  const usesDefault = services instanceof Map && completeServices(services, place);
  const networks = form.get("networks");
  const all = new Map<string, Printed>(networks instanceof Map ? networks : []);
  if (usesDefault && !all.has("default")) all.set("default", null);
  if (all.size > 0) form.set("networks", all);
  for (const kind of ["networks", "volumes", "configs", "secrets"]) {
    const resources = form.get(kind);
    if (resources instanceof Map) form.set(kind, named(resources, place.name));
  }
  return form;
}

/** Answers whether one of them is on the default network. */
function completeServices(services: MutableForm, place: MergedPlace): boolean {
  let usesDefault = false;
  for (const service of services.values()) {
    if (!(service instanceof Map)) continue;
    if (!service.has("network_mode")) {
      const networks = service.get("networks");
      const isNone = !(networks instanceof Map) || networks.size === 0;
      if (isNone) service.set("networks", new Map([["default", null]]));
      usesDefault ||= isNone || networks.has("default");
    }
    completeService(service, place);
  }
  return usesDefault;
}

function completeService(service: MutableForm, { environment }: MergedPlace): void {
  if (service.get("pull_policy") === "if_not_present") service.set("pull_policy", "missing");
  const build = service.get("build");
  if (build instanceof Map) {
    if (!build.has("dockerfile") && !build.has("dockerfile_inline")) {
      build.set("dockerfile", "Dockerfile");
    }
    if (build.has("args")) build.set("args", resolved(build.get("args"), environment, false));
  }
  if (service.has("environment")) {
    service.set("environment", resolved(service.get("environment"), environment, true));
  }
  const known = service.get("depends_on");
  const dependencies = new Map<string, Printed>(known instanceof Map ? known : []);
  for (const [name, restart] of impliedDependencies(service)) {
    if (dependencies.has(name)) continue;
    const entries: [string, Printed][] = [
      ["condition", "service_started"],
      ["restart", restart],
      ["required", true],
    ];
    dependencies.set(name, new Map(entries));
  }
  if (dependencies.size > 0) service.set("depends_on", dependencies);
}

/** Names, and whether the service restarts with them. */
function* impliedDependencies(service: MutableForm): Generator<readonly [string, boolean]> {
  for (const link of textsOf(service.get("links"))) {
    const parts = link.split(":");
    yield [parts.length === 2 ? (parts[0] ?? "") : link, true];
  }
  for (const key of ["network_mode", "ipc", "pid", "uts", "cgroup"]) {
    const value = service.get(key);
    if (typeof value === "string" && value.startsWith("service:")) {
      yield [value.slice("service:".length), true];
    }
  }
  for (const source of textsOf(service.get("volumes_from"))) {
    if (!source.startsWith("container:")) yield [source.split(":")[0] ?? "", false];
  }
}

function textsOf(value: Printed | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

/** Variables without a value have the caller's; `keepEmpty` says what becomes of those that he has not. */
function resolved(
  value: Printed | undefined,
  environment: ReadonlyMap<string, string>,
  keepEmpty: boolean,
): Printed {
  if (Array.isArray(value)) {
    return value.flatMap((item: Printed) => {
      if (typeof item !== "string" || item.includes("=")) return [item];
      const found = environment.get(item);
      if (found !== undefined) return [`${item}=${found}`];
      return keepEmpty ? [item] : [];
    });
  }
  if (!(value instanceof Map)) return value ?? null;
  const entries = [...value].flatMap(([key, each]: [string, Printed]): [string, Printed][] => {
    if (each !== null) return [[key, each]];
    const found = environment.get(key);
    if (found !== undefined) return [[key, found]];
    return keepEmpty ? [[key, null]] : [];
  });
  return new Map(entries);
}

function named(resources: MutableForm, project: string): MutableForm {
  return new Map(
    [...resources].map(([key, value]) => {
      const resource = new Map<string, Printed>(value instanceof Map ? value : []);
      if ((resource.get("name") ?? null) === null) {
        const isExternal = String(resource.get("external")) === "true";
        resource.set("name", isExternal ? key : `${project}_${key}`);
      }
      return [key, resource];
    }),
  );
}
