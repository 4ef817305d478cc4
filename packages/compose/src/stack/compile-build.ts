/** How a service's image is built: `build`, with its context as an object. */

import type { BuildSpec } from "@berth/protocol";
import type { Build } from "../model/deploy-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ProblemList } from "./compile-problem.ts";
import type { FoundObjects } from "./file-objects.ts";
import { presentFields } from "./present-fields.ts";

/** Name in the context of a Dockerfile that stands in the stack file; no file of a person's is called so. */
const INLINE_DOCKERFILE = ".berth-inline.Dockerfile";

/** `undefined` when there is nothing to build, or nothing that could be. */
export function compileBuild(
  name: string,
  service: ComposeService,
  objects: FoundObjects,
  problems: ProblemList,
): BuildSpec | undefined {
  const { build } = service;
  if (build === undefined) return undefined;
  const contextDigest = contextOf(build, ["services", name, "build"], objects, problems);
  if (contextDigest === undefined) return undefined;
  return presentFields<BuildSpec>({
    contextDigest,
    dockerfile: build.dockerfileInline === undefined ? dockerfileOf(build) : INLINE_DOCKERFILE,
    dockerfileText: build.dockerfileInline,
    target: build.target,
    args: Object.fromEntries(
      Object.entries(build.args ?? {}).flatMap(([key, value]) =>
        value === null ? [] : [[key, value] as const],
      ),
    ),
    labels: build.labels ?? {},
    noCache: isWithoutCache(build),
    pull: build.pull,
    networkMode: build.network,
    shmSizeBytes: build.shmSizeBytes,
    extraHosts: build.extraHosts?.map((text) => text.replace("=", ":")),
    platform: build.platforms?.[0] ?? service.platform,
    tags: build.tags,
    cacheFrom: build.cacheFrom,
    ulimits: ulimitsOf(build),
    isolation: build.isolation === "default" ? undefined : build.isolation,
  });
}

function dockerfileOf(build: Build): string {
  return build.dockerfile ?? "Dockerfile";
}

/** The engine's classic builder knows no stages to leave out of its cache: then all of it is. */
function isWithoutCache({ noCache, noCacheFilter = [] }: Build): boolean | undefined {
  return noCacheFilter.length > 0 ? true : noCache;
}

function ulimitsOf({ ulimits }: Build): BuildSpec["ulimits"] {
  if (ulimits === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(ulimits).map(([name, { soft, hard }]) => [name, { soft, hard }]),
  );
}

function contextOf(
  build: Build,
  path: readonly string[],
  objects: FoundObjects,
  problems: ProblemList,
): string | undefined {
  if (build.context?.kind !== "local") {
    problems.error(path, "only local build contexts can be built");
    return undefined;
  }
  const found = objects.get(build.context.directory.path);
  if (found?.kind === "directory") return found.digest;
  const { original } = build.context.directory;
  problems.error(path, `the build context "${original}" is no directory`);
  return undefined;
}
