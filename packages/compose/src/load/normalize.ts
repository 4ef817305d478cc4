/**
 * What a file does not say but the specification means: the default network, names of resources, dependencies
 * that follow from links and shared namespaces, defaults of builds, values taken from the environment.
 *
 * Pure: words in, words out.
 */

import type { Build } from "../model/deploy-model.ts";
import type { ComposeService, ServiceDependency } from "../model/service-model.ts";
import { containerPath } from "../spec/path-codecs.ts";
import type { ProjectWords } from "../spec/project-codec.ts";
import type { Environment } from "./session.ts";

/** Where the project stands. */
export interface ProjectPlace {
  readonly name: string;
  readonly directory: string;
  readonly environment: Environment;
}

/** The service of a link `service[:alias]`; what has more colons names none. */
export function linkedService(link: string): string {
  const [service = link, ...rest] = link.split(":");
  return rest.length > 1 ? link : service;
}

/** `words` with what they imply. */
export function normalize(words: ProjectWords, place: ProjectPlace): ProjectWords {
  const services = mapValues(words.services ?? {}, (service) => normalizeService(service, place));
  const networks = withDefaultNetwork(words.networks ?? {}, services);
  return {
    ...words,
    services,
    networks: withNames(networks, place.name),
    volumes: withNames(words.volumes ?? {}, place.name),
    configs: withNames(
      mapValues(words.configs ?? {}, (one) => withContent(one, place)),
      place.name,
    ),
    secrets: withNames(
      mapValues(words.secrets ?? {}, (one) => withContent(one, place)),
      place.name,
    ),
  };
}

/** `words` with values taken from the environment, and nothing else that they imply. */
export function withVariableValues(words: ProjectWords, place: ProjectPlace): ProjectWords {
  const services = mapValues(words.services ?? {}, (service) => withEnvironment(service, place));
  return { ...words, services };
}

function withEnvironment(service: ComposeService, place: ProjectPlace): ComposeService {
  if (service.environment === undefined) return service;
  const environment = mapValues(service.environment, (value, key) => inherited(value, key, place));
  return { ...service, environment };
}

/** `record` with `change` applied to each value. */
export function mapValues<T, U>(
  record: Readonly<Record<string, T>>,
  change: (value: T, key: string) => U,
): Readonly<Record<string, U>> {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, change(value, key)]),
  );
}

function normalizeService(service: ComposeService, place: ProjectPlace): ComposeService {
  const dependsOn = impliedDependencies(service);
  return {
    ...withEnvironment(service, place),
    ...(service.networkMode === undefined ? { networks: attachmentsOf(service) } : {}),
    ...withScaledDeploy(service),
    ...(service.build === undefined ? {} : { build: normalizeBuild(service.build, place) }),
    ...(Object.keys(dependsOn).length === 0 ? {} : { dependsOn }),
    ...(service.volumes === undefined
      ? {}
      : { volumes: service.volumes.map((one) => ({ ...one, target: containerPath(one.target) })) }),
  };
}

function inherited(value: string | null, key: string, place: ProjectPlace): string | null {
  return value ?? place.environment.get(key) ?? null;
}

/** `scale` is `deploy.replicas`, where there is a `deploy`. */
function withScaledDeploy({ deploy, scale }: ComposeService): Pick<ComposeService, "deploy"> {
  if (deploy === undefined) return {};
  return { deploy: scale === undefined ? deploy : { replicas: scale, ...deploy } };
}

function attachmentsOf(service: ComposeService): NonNullable<ComposeService["networks"]> {
  const { networks } = service;
  return networks === undefined || Object.keys(networks).length === 0
    ? { default: { nameOnly: true } }
    : networks;
}

function normalizeBuild(build: Build, place: ProjectPlace): Build {
  return {
    ...build,
    ...(build.dockerfile === undefined && build.dockerfileInline === undefined
      ? { dockerfile: "Dockerfile" }
      : {}),
    ...(build.args === undefined ? {} : { args: resolvedArgs(build.args, place) }),
  };
}

/** Arguments without a value anywhere are left out: the Dockerfile's own default holds. */
function resolvedArgs(
  args: Readonly<Record<string, string | null>>,
  place: ProjectPlace,
): Readonly<Record<string, string>> {
  const entries = Object.entries(args).flatMap(([key, value]) => {
    const resolved = inherited(value, key, place);
    return resolved === null ? [] : [[key, resolved] as const];
  });
  return Object.fromEntries(entries);
}

const SHARED_NAMESPACES = ["networkMode", "ipc", "pid", "uts", "cgroup"] as const;

function impliedDependencies(service: ComposeService): Readonly<Record<string, ServiceDependency>> {
  const implied = new Map<string, ServiceDependency>();
  const imply = (name: string, restart: boolean): void => {
    if (implied.has(name)) return;
    implied.set(name, {
      condition: "service_started",
      ...(restart ? { restart } : {}),
      required: true,
    });
  };
  for (const link of service.links ?? []) imply(linkedService(link), true);
  for (const key of SHARED_NAMESPACES) {
    const target = sharedService(service[key]);
    if (target !== undefined) imply(target, true);
  }
  for (const source of service.volumesFrom ?? []) {
    if (!source.startsWith("container:")) imply(source.split(":")[0] ?? source, false);
  }
  return { ...Object.fromEntries(implied), ...service.dependsOn };
}

/** `service:web` → `web`. */
export function sharedService(mode: string | undefined): string | undefined {
  return mode?.startsWith("service:") === true ? mode.slice("service:".length) : undefined;
}

function withDefaultNetwork<T>(
  networks: Readonly<Record<string, T>>,
  services: Readonly<Record<string, ComposeService>>,
): Readonly<Record<string, T | Record<string, never>>> {
  const used = Object.values(services).some(
    (service) => service.networks !== undefined && Object.hasOwn(service.networks, "default"),
  );
  return used && !Object.hasOwn(networks, "default") ? { ...networks, default: {} } : networks;
}

function withNames<T extends { readonly name?: string; readonly external?: boolean }>(
  resources: Readonly<Record<string, T>>,
  project: string,
): Readonly<Record<string, T>> {
  return mapValues(resources, (one, key) =>
    one.name === undefined
      ? { ...one, name: one.external === true ? key : `${project}_${key}` }
      : one,
  );
}

function withContent<T extends { readonly environment?: string; readonly content?: string }>(
  object: T,
  place: ProjectPlace,
): T {
  const value =
    object.environment === undefined ? undefined : place.environment.get(object.environment);
  return value === undefined ? object : { ...object, content: value };
}
