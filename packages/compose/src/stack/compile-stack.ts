/**
 * From the Compose model to the stack that the platform takes: every default made explicit, every relative
 * path an object, every word of Compose in the platform's own.
 *
 * Pure: what lies on the deploying machine comes in as `objects`, by digest. Problems carry the path of the
 * key that they speak of. Cost: O(services × their keys). Design page: docs/design/compose.md
 */

import {
  EXTERNAL_FILE_NAME_PATTERN,
  type ExternalInput,
  type FileReference as FileReferenceSpec,
  type Hook,
  type ServiceSpec,
  type StackSpec,
  secretsOfRoutes,
  type VolumeSpec,
} from "@berth/protocol";
import type { ServiceHook } from "../model/deploy-model.ts";
import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ComposeFileObject, FileReference } from "../model/storage-model.ts";
import { parseByteSize } from "../text/byte-size.ts";
import { compileBuild } from "./compile-build.ts";
import {
  compileCountables,
  compileEngine,
  compileLimits,
  compileRequests,
} from "./compile-engine.ts";
import {
  compileDependencies,
  compileMode,
  compilePullPolicy,
  compileRestart,
  compileRollback,
  compileUpdate,
  completionTargets,
  DRAIN_MS,
  PRIORITY,
  STOP_GRACE_MS,
} from "./compile-life.ts";
import { bindWishes, bindWriters, compileMounts, compileVolumes } from "./compile-mounts.ts";
import {
  compileAffinity,
  compileExpose,
  compileNetworks,
  compilePod,
  compilePorts,
  compileStackNetworks,
  type LinkAliases,
  linkAliases,
} from "./compile-network.ts";
import { compileDevices, compileWeights } from "./compile-placing.ts";
import { compileProbes } from "./compile-probes.ts";
import { type CompileProblem, ProblemList } from "./compile-problem.ts";
import { compileRoutes } from "./compile-routes.ts";
import type { FoundObjects, ObjectWish } from "./file-objects.ts";
import { presentFields } from "./present-fields.ts";

export interface CompileInput {
  readonly project: ComposeProject;
  /** Name of the stack; names images that are built. */
  readonly stack: string;
  readonly objects: FoundObjects;
  /** Bytes of configs and secrets whose content stands in the file or the environment, by digest. */
  readonly inlineDigest: (content: string) => {
    readonly digest: string;
    readonly sizeBytes: number;
  };
  /** Base64 content of a secret's file. */
  readonly secretContent: (path: string) => string;
}

export interface CompileResult {
  readonly spec: StackSpec;
  readonly problems: readonly CompileProblem[];
}

/** Paths whose content `compileStack` needs. */
export function objectWishes(project: ComposeProject): ObjectWish[] {
  const services = Object.values(project.services);
  const builds = services.flatMap((service): ObjectWish[] => {
    const context = service.build?.context;
    return context?.kind === "local" ? [{ path: context.directory.path, use: "context" }] : [];
  });
  const files = (record: Readonly<Record<string, ComposeFileObject>>, use: "config" | "secret") =>
    Object.values(record).flatMap((object): ObjectWish[] =>
      object.file === undefined ? [] : [{ path: object.file.path, use }],
    );
  return [
    ...services.flatMap(bindWishes),
    ...builds,
    ...files(project.configs, "config"),
    ...files(project.secrets, "secret"),
  ];
}

export function compileStack(input: CompileInput): CompileResult {
  const { project } = input;
  const problems = new ProblemList();
  const volumes = compileVolumes(project, problems);
  const jobs = completionTargets(project);
  const writers = bindWriters(project);
  const shared = { input, volumes, writers, problems, linked: linkAliases(project, problems) };
  const services: Record<string, ServiceSpec> = {};
  for (const [name, service] of Object.entries(project.services)) {
    const isJob = jobs.has(name) || service.deploy?.mode?.endsWith("-job") === true;
    services[name] = compileService({ ...shared, name, service, isJob });
  }
  const used = new Set(Object.values(services).flatMap((spec) => Object.keys(spec.networks)));
  const spec: StackSpec = {
    services,
    networks: compileStackNetworks(project, used, problems),
    volumes,
    configs: compileConfigs({ input, problems, used: usedFiles(services, "configs") }),
    secrets: compileSecrets({ input, problems, used: usedFiles(services, "secrets") }),
  };
  return { spec, problems: problems.all };
}

interface ServiceContext {
  readonly input: CompileInput;
  readonly name: string;
  readonly service: ComposeService;
  readonly isJob: boolean;
  /** Grows by the volumes that binds and anonymous volumes make. */
  readonly volumes: Record<string, VolumeSpec>;
  readonly writers: ReadonlyMap<string, string>;
  readonly linked: LinkAliases;
  readonly problems: ProblemList;
}

function compileService(context: ServiceContext): ServiceSpec {
  const { input, name, service, isJob, volumes, writers, linked, problems } = context;
  const mounts = compileMounts({
    name,
    service,
    objects: input.objects,
    problems,
    extraVolumes: volumes,
    writers,
  });
  const network = compileNetworks(name, service, { problems, linked });
  const pod = compilePod(name, service, problems);
  const exclusive =
    Object.values(network.networks).some(
      (use) => use.ipv4Address !== undefined || use.addresses !== undefined,
    ) ||
    mounts.some((mount) => {
      const volume = mount.kind === "volume" && !mount.readOnly ? volumes[mount.volume] : undefined;
      return volume?.mode === "exclusive" && !volume.perCopy;
    });
  return presentFields<ServiceSpec>({
    image: service.image ?? `berth/${input.stack}-${name.toLowerCase()}`,
    build: compileBuild(name, service, input.objects, problems),
    ...compilePullPolicy(name, service, problems),
    entrypoint: service.entrypoint ?? undefined,
    command: service.command ?? undefined,
    environment: valuesOf(service.environment),
    engine: compileEngine(service),
    limits: compileLimits(service),
    requests: compileRequests(name, service, problems),
    countables: compileCountables(service),
    mounts,
    configs: fileReferences(context, "configs"),
    secrets: fileReferences(context, "secrets"),
    ...network,
    ...pod,
    ports: compilePorts(name, service, problems),
    expose: compileExpose(service),
    ...compileRoutes(name, service, problems),
    affinity: compileAffinity(service),
    endpointMode: service.deploy?.endpointMode === "dnsrr" ? "dnsrr" : "vip",
    probes: compileProbes(name, service, problems),
    dependsOn: compileDependencies(service),
    restart: compileRestart(name, service, { isJob, problems }),
    ...compileMode(name, service, { isJob, problems }),
    update: compileUpdate(name, service, { exclusive, problems }),
    rollback: compileRollback(name, service, { exclusive, problems }),
    constraints: service.deploy?.placement?.constraints ?? [],
    spreadOver: (service.deploy?.placement?.preferences ?? []).flatMap((p) => p.spread ?? []),
    maxPerNode: service.deploy?.placement?.maxReplicasPerNode || undefined,
    tolerations: service.xBerth?.tolerations?.slice(),
    strategy: service.xBerth?.strategy ?? input.project.xBerth?.strategy,
    weights: compileWeights(service, input.project),
    class: service.xBerth?.class,
    devices: compileDevices(name, service, problems),
    failover: service.xBerth?.failover === "fence" ? "fence" : undefined,
    priority: PRIORITY,
    stopGraceMs: service.stopGracePeriodMs ?? STOP_GRACE_MS,
    drainMs: service.xBerth?.drainMs ?? DRAIN_MS,
    postStart: hooks(service.postStart),
    preStop: hooks(service.preStop),
    log: logLimits(context),
  });
}

/** Values byte for byte; a key without a value that nobody set is not set in the container either. */
function valuesOf(environment: ComposeService["environment"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment ?? {}).flatMap(([key, value]) =>
      value === null ? [] : [[key, value] as const],
    ),
  );
}

/** Permission bits of configs and secrets when the file says nothing, as with Docker. */
const FILE_MODE = 0o444;

function fileReferences(
  { service, name, problems }: ServiceContext,
  kind: "configs" | "secrets",
): FileReferenceSpec[] {
  const folder = kind === "configs" ? "/" : "/run/secrets/";
  return (service[kind] ?? []).map((use, index) => {
    const target = `${folder}${use.source}`;
    const path = ["services", name, kind, index];
    return {
      name: use.source,
      target: use.target === undefined ? target : absoluteTarget(use.target, target),
      uid: identity(use, "uid", path, problems),
      gid: identity(use, "gid", path, problems),
      mode: use.mode ?? FILE_MODE,
    };
  });
}

/** Names of users are known inside the image only: files are made before it runs. */
function identity(
  use: FileReference,
  key: "uid" | "gid",
  path: readonly (string | number)[],
  problems: ProblemList,
): number {
  const text = use[key] ?? "0";
  if (/^\d{1,10}$/.test(text)) return Number(text);
  problems.error([...path, key], `"${text}" is no number; names are not known outside the image`);
  return 0;
}

/** A bare name stays in the folder of the default. */
function absoluteTarget(target: string, fallback: string): string {
  if (target.startsWith("/")) return target;
  return `${fallback.slice(0, fallback.lastIndexOf("/"))}/${target}`;
}

function hooks(list: readonly ServiceHook[] | undefined): ServiceSpec["preStop"] {
  const compiled = (list ?? []).flatMap((hook) => {
    const { command, user, privileged, workingDir, environment } = hook;
    if (!command) return [];
    const how = presentFields<Omit<Hook, "command">>({
      user: user || undefined,
      workingDir: workingDir || undefined,
      environment: environment === undefined ? undefined : valuesOf(environment),
      privileged: privileged || undefined,
    });
    return [Object.keys(how).length === 0 ? command : { command, ...how }];
  });
  return compiled.length === 0 ? undefined : compiled;
}

const LOG_BYTES_MAX = 10 * 1024 * 1024;
const LOG_FILES_MAX = 3;

function logLimits({ service, name, problems }: ServiceContext): ServiceSpec["log"] {
  const { driver, options } = service.logging ?? {};
  if (driver !== undefined && !["json-file", "local"].includes(driver)) {
    problems.warn(
      ["services", name, "logging", "driver"],
      `the driver ${driver} is not used: the agent captures logs itself (berth logs)`,
    );
  }
  const size = options?.["max-size"] === undefined ? undefined : parseByteSize(options["max-size"]);
  const files = options?.["max-file"] === undefined ? undefined : Number(options["max-file"]);
  return {
    maxBytes: Math.max(4_096, size ?? LOG_BYTES_MAX),
    maxFiles: files !== undefined && Number.isInteger(files) && files > 0 ? files : LOG_FILES_MAX,
  };
}

interface FileContext {
  readonly input: CompileInput;
  readonly problems: ProblemList;
  /** Keys that a service names. */
  readonly used: ReadonlySet<string>;
}

function usedFiles(
  services: Readonly<Record<string, ServiceSpec>>,
  kind: "configs" | "secrets",
): ReadonlySet<string> {
  const names = Object.values(services).flatMap((spec) => [
    ...spec[kind].map(({ name }) => name),
    ...(kind === "secrets" ? secretsOfRoutes(spec.routes) : []),
  ]);
  return new Set(names);
}

function compileConfigs({ input, problems, used }: FileContext): StackSpec["configs"] {
  const configs: Record<string, StackSpec["configs"][string]> = {};
  for (const [key, config] of Object.entries(input.project.configs)) {
    const path = ["configs", key];
    if (config.external === true) {
      // As with Compose: what nobody uses need not be there.
      if (used.has(key)) configs[key] = externalOf(config, path, problems);
      continue;
    }
    warnOfName(config, path, { input, problems });
    if (config.content !== undefined) {
      configs[key] = input.inlineDigest(config.content);
      continue;
    }
    const found = config.file === undefined ? undefined : input.objects.get(config.file.path);
    if (found?.kind === "file") {
      configs[key] = { digest: found.digest, sizeBytes: found.sizeBytes };
    } else if (used.has(key)) problems.error(path, missingContent(config));
    else problems.warn(path, `${missingContent(config)}; nothing uses it`);
  }
  return configs;
}

function compileSecrets({ input, problems, used }: FileContext): StackSpec["secrets"] {
  const secrets: Record<string, StackSpec["secrets"][string]> = {};
  for (const [key, secret] of Object.entries(input.project.secrets)) {
    const path = ["secrets", key];
    if (secret.external === true) {
      if (used.has(key)) secrets[key] = externalOf(secret, path, problems);
      continue;
    }
    warnOfName(secret, path, { input, problems });
    if (secret.content !== undefined) {
      secrets[key] = { content: base64(secret.content) };
      continue;
    }
    const found = secret.file === undefined ? undefined : input.objects.get(secret.file.path);
    if (found?.kind === "file" && secret.file !== undefined) {
      secrets[key] = { content: input.secretContent(secret.file.path) };
    } else if (used.has(key)) problems.error(path, missingContent(secret));
    else problems.warn(path, `${missingContent(secret)}; nothing uses it`);
  }
  return secrets;
}

const EXTERNAL_NAME = new RegExp(EXTERNAL_FILE_NAME_PATTERN);

/** The server knows whether it is there; a name that nothing can have is told here. */
function externalOf(
  object: ComposeFileObject,
  path: readonly string[],
  problems: ProblemList,
): ExternalInput {
  const name = object.name ?? path.at(-1) ?? "";
  if (!EXTERNAL_NAME.test(name)) {
    const expected = "1 to 64 letters, digits, dots, dashes and underscores";
    problems.error([...path, "name"], `"${name}" is no name of one outside of stacks: ${expected}`);
  }
  return { external: { name } };
}

function warnOfName(
  { name }: ComposeFileObject,
  path: readonly string[],
  { input, problems }: Pick<FileContext, "input" | "problems">,
): void {
  if (name === undefined || name === `${input.project.name}_${path.at(-1)}`) return;
  problems.warn([...path, "name"], "is not used: it belongs to its stack alone");
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function missingContent(object: ComposeFileObject): string {
  if (object.file !== undefined) return `the file "${object.file.original}" cannot be read`;
  if (object.environment !== undefined) return `the variable ${object.environment} is not set`;
  return "has no content: give file, content or environment, or external: true";
}
