/** The Engine's answers about containers and images → the port's terms. Pure. */

import {
  flagAt,
  keysAt,
  listAt,
  numberAt,
  textAt,
  textMapAt,
  textsAt,
  timeAt,
} from "./docker-json.ts";
import type { ContainerState, ImageInfo } from "./port.ts";

const PHASES: Readonly<Record<string, ContainerState["phase"]>> = {
  created: "created",
  running: "running",
  restarting: "running",
  paused: "paused",
  exited: "exited",
  stopped: "exited",
  removing: "dead",
  dead: "dead",
};

/** Of `GET /containers/{id}/json`. */
export function stateOfInspect(json: unknown): ContainerState {
  const phase = phaseOf(textAt(json, "State", "Status"));
  const pid = numberAt(json, "State", "Pid");
  const error = textAt(json, "State", "Error");
  const exitCode = numberAt(json, "State", "ExitCode");
  const startedAt = timeAt(json, "State", "StartedAt");
  const finishedAt = timeAt(json, "State", "FinishedAt");
  const ended = phase === "exited" || phase === "dead";
  return {
    id: textAt(json, "Id") ?? "",
    name: plainName(textAt(json, "Name")),
    labels: textMapAt(json, "Config", "Labels"),
    imageId: textAt(json, "Image") ?? "",
    phase,
    ...(phase === "running" && pid !== undefined && pid > 0 ? { pid } : {}),
    ...(exitCode !== undefined && ended ? { exitCode } : {}),
    oomKilled: flagAt(json, "State", "OOMKilled"),
    ...(error === undefined || error === "" ? {} : { error }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined || !ended ? {} : { finishedAt }),
  };
}

/**
 * Of one item of `GET /containers/json`, which has no process, no times and no words of errors: whoever
 * needs those of a container that ended inspects that one.
 */
export function stateOfListing(json: unknown): ContainerState {
  const [name] = textsAt(json, "Names");
  const phase = phaseOf(textAt(json, "State"));
  const code = /^Exited \((\d+)\)/.exec(textAt(json, "Status") ?? "")?.[1];
  return {
    id: textAt(json, "Id") ?? "",
    name: plainName(name),
    labels: textMapAt(json, "Labels"),
    imageId: textAt(json, "ImageID") ?? "",
    phase,
    ...(code === undefined || phase === "running" ? {} : { exitCode: Number(code) }),
    oomKilled: false,
  };
}

/** Of `GET /images/{name}/json`. `reference` is what was asked for. */
export function imageOfInspect(json: unknown, reference: string): ImageInfo {
  const createdAt = timeAt(json, "Created");
  const digests = textsAt(json, "RepoDigests");
  return {
    ...identityOf(json, reference, digests),
    sizeBytes: numberAt(json, "Size") ?? 0,
    exposed: keysAt(json, "Config", "ExposedPorts").flatMap((port) => portNumber(port)),
    labels: textMapAt(json, "Config", "Labels"),
    ...(createdAt === undefined ? {} : { createdAt }),
  };
}

/** Of one item of `GET /images/json`. */
export function imageOfListing(json: unknown): ImageInfo {
  const tags = textsAt(json, "RepoTags").filter(isNamed);
  const digests = textsAt(json, "RepoDigests").filter(isNamed);
  const seconds = numberAt(json, "Created");
  return {
    ...identityOf(json, tags[0] ?? digests[0] ?? textAt(json, "Id") ?? "", digests),
    sizeBytes: numberAt(json, "Size") ?? 0,
    exposed: [],
    labels: textMapAt(json, "Labels"),
    ...(seconds === undefined ? {} : { createdAt: seconds * 1_000 }),
  };
}

/** The image's own entrypoint. */
export function entrypointOf(json: unknown): readonly string[] {
  return listAt(json, "Config", "Entrypoint").filter((word) => typeof word === "string");
}

function identityOf(json: unknown, reference: string, digests: readonly string[]) {
  const repoDigest = digestFor(reference, digests);
  return {
    reference,
    imageId: textAt(json, "Id") ?? "",
    ...(repoDigest === undefined ? {} : { repoDigest }),
    references: [...textsAt(json, "RepoTags"), ...digests].filter(isNamed),
  };
}

/** The digest under the repository of `reference`, or any. */
function digestFor(reference: string, digests: readonly string[]): string | undefined {
  const named = digests.filter(isNamed);
  const repository = repositoryOf(reference);
  return named.find((digest) => repositoryOf(digest) === repository) ?? named[0];
}

/** `reference` without tag and digest. */
export function repositoryOf(reference: string): string {
  const name = reference.split("@", 1)[0] ?? reference;
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}

function phaseOf(status: string | undefined): ContainerState["phase"] {
  return PHASES[status ?? ""] ?? "dead";
}

/** Names come with a slash in front. */
function plainName(name: string | undefined): string {
  return (name ?? "").replace(/^\//, "");
}

function isNamed(reference: string): boolean {
  return !reference.startsWith("<none>");
}

function portNumber(port: string): number[] {
  const number = Number(port.split("/", 1)[0]);
  return Number.isInteger(number) && number > 0 ? [number] : [];
}
