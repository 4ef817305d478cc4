/**
 * Pins images by content: what a release will run, whatever its tags say later. By policy from this node's
 * engine, from the registry, or by a build; all wishes of a deployment together, a few at a time.
 */

import { createHash } from "node:crypto";
import { assertNever, type Clock, GIB } from "@berth/base";
import {
  type BuildSpec,
  type ImageWish,
  type PinnedImage,
  ProtocolError,
  type Resources,
} from "@berth/protocol";
import type { RegistryCredentials } from "../images/registry-credentials.ts";
import type { ImageInfo, Runtime } from "../runtime/port.ts";
import type { AgentState } from "../state/agent-state.ts";
import type { Slots } from "../task/slots.ts";

/** Look-ups at once: registries limit clients, and a deployment has a few dozen images at most. */
export const RESOLVES_MAX = 4;
/** Builds at once on a node: a build takes all the processors it gets. */
export const BUILDS_MAX = 1;
/** A build may not starve what runs: half of the processors, and this much memory at most. */
const BUILD_MEMORY_SHARE = 0.5;
const BUILD_MEMORY_BYTES_MIN = GIB;
const BUILD_PIDS = 4_096;

export interface ImageResolver {
  readonly runtime: Pick<Runtime, "inspectImage" | "resolveRemote" | "buildImage" | "info">;
  readonly cluster: () => string;
  /** Logins of the project whose images these are. */
  readonly credentials: Pick<RegistryCredentials, "authFor" | "allOf">;
  /** Of the agent, for all operations together. */
  readonly resolves: Slots;
  readonly builds: Slots;
  readonly fetchContext: (
    digest: string,
    signal: AbortSignal,
  ) => Promise<AsyncIterable<Uint8Array>>;
  /** What an equal build made before, if it was recorded. */
  readonly builtBefore: (key: string) => string | undefined;
  readonly noteBuilt: (key: string, imageId: string) => Promise<void>;
  /** What registries answered last. */
  readonly lookUps: Pick<AgentState, "lookUpOf" | "noteLookUp">;
  readonly clock: Clock;
  /** The disk has no room for a build. */
  readonly refusesBuilds: () => boolean;
}

/** The pinned image of each wish, by reference. The first failure fails all: a release is whole or not. */
export async function resolveImages(
  resolver: ImageResolver,
  { project, wishes }: { readonly project: string; readonly wishes: readonly ImageWish[] },
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Record<string, PinnedImage>> {
  const abort = new AbortController();
  const limited = AbortSignal.any([signal, abort.signal]);
  let done = 0;
  const resolved = wishes.map(async (wish) => {
    try {
      const image = await resolveOne(resolver, { ...wish, project }, say, limited);
      say(`${++done} of ${wishes.length} images are known`);
      return [wish.reference, image] as const;
    } catch (error) {
      abort.abort(error);
      throw error;
    }
  });
  return Object.fromEntries(await Promise.all(resolved));
}

type ProjectWish = ImageWish & { readonly project: string };

async function resolveOne(
  resolver: ImageResolver,
  wish: ProjectWish,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<PinnedImage> {
  const { reference, build } = wish;
  if (build !== undefined && wish.policy !== "never") {
    return await resolver.builds.run("begin", signal, () =>
      buildOne(resolver, { reference, build, project: wish.project }, say, signal),
    );
  }
  return await resolver.resolves.run("begin", signal, () => lookUp(resolver, wish, signal));
}

async function lookUp(
  resolver: ImageResolver,
  wish: ProjectWish,
  signal: AbortSignal,
): Promise<PinnedImage> {
  const { runtime } = resolver;
  const { reference, policy } = wish;
  const local = await runtime.inspectImage(reference, signal);
  switch (policy) {
    case "never":
      if (local !== undefined) return pinnedOf(reference, local);
      throw missing(reference, "is not on this node, and its pull policy is never");
    case "missing": {
      if (wish.pullEveryMs === undefined && local !== undefined) return pinnedOf(reference, local);
      const fresh = await freshEnough(resolver, wish, local, signal);
      return fresh ?? (await remote(resolver, wish, signal));
    }
    case "always": {
      const pinned = await remote(resolver, wish, signal);
      const isHere = local !== undefined && local.repoDigest === pinned.repoDigest;
      return isHere ? pinnedOf(reference, local) : pinned;
    }
    case "build":
      throw missing(reference, "is to be built, but there is nothing to build it from");
    default:
      return assertNever(policy, "policy");
  }
}

/**
 * What is here, when the registry was asked a short time ago. An image that was pulled by its digest has no
 * name at the engine: the registry's last answer says which it is.
 */
async function freshEnough(
  { runtime, lookUps, clock }: ImageResolver,
  { reference, pullEveryMs }: ImageWish,
  local: ImageInfo | undefined,
  signal: AbortSignal,
): Promise<PinnedImage | undefined> {
  const last = lookUps.lookUpOf(reference);
  if (pullEveryMs === undefined || last === undefined) return undefined;
  const age = clock.now() - last.at;
  // Looked up in the future: the clock was set back.
  if (age < 0 || age > pullEveryMs) return undefined;
  const here = local ?? (await runtime.inspectImage(last.repoDigest, signal));
  return here === undefined ? undefined : pinnedOf(reference, here);
}

async function remote(
  { runtime, clock, credentials, lookUps }: ImageResolver,
  { reference, project }: Pick<ProjectWish, "reference" | "project">,
  signal: AbortSignal,
): Promise<PinnedImage> {
  const auth = await credentials.authFor(project, reference);
  const { repoDigest } = await runtime.resolveRemote(reference, auth, signal);
  await lookUps.noteLookUp(reference, { at: clock.now(), repoDigest });
  return { reference, repoDigest };
}

async function buildOne(
  resolver: ImageResolver,
  wish: { readonly reference: string; readonly build: BuildSpec; readonly project: string },
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<PinnedImage> {
  const { runtime, cluster } = resolver;
  const { reference, build } = wish;
  const key = buildKey(reference, build);
  const before = build.noCache || build.pull ? undefined : resolver.builtBefore(key);
  const known = before === undefined ? undefined : await runtime.inspectImage(before, signal);
  if (known !== undefined) return pinnedOf(reference, known);
  if (resolver.refusesBuilds()) {
    const message = `image ${reference} is not built: the disk of the node is too full`;
    throw new ProtocolError("storage_full", message, { reference });
  }
  const context = await resolver.fetchContext(build.contextDigest, signal);
  const image = await runtime.buildImage(reference, build, context, {
    cluster: cluster(),
    limits: await buildLimits(runtime, signal),
    auths: await resolver.credentials.allOf(wish.project),
    signal,
    onProgress: ({ line }) => {
      if (line !== undefined && line.trim() !== "") say(`${reference}: ${line.trim()}`);
    },
  });
  await resolver.noteBuilt(key, image.imageId);
  return pinnedOf(reference, image);
}

/** The same context, file and arguments make the same image: it is not built again. */
function buildKey(reference: string, build: BuildSpec): string {
  return createHash("sha256")
    .update(JSON.stringify([reference, build]))
    .digest("hex");
}

async function buildLimits(
  runtime: Pick<Runtime, "info">,
  signal: AbortSignal,
): Promise<Resources> {
  const { cpuMillis, memoryBytes } = await runtime.info(signal);
  const share = Math.floor(memoryBytes * BUILD_MEMORY_SHARE);
  return {
    cpuMillis: Math.max(1_000, Math.floor(cpuMillis / 2)),
    memoryBytes: Math.max(BUILD_MEMORY_BYTES_MIN, share),
    pids: BUILD_PIDS,
  };
}

/** Only what belongs into a release, under the reference of the file. */
function pinnedOf(reference: string, image: ImageInfo): PinnedImage {
  const { imageId, repoDigest, sizeBytes, exposed } = image;
  const pinned = { reference, imageId, sizeBytes, exposed };
  return repoDigest === undefined ? pinned : { ...pinned, repoDigest };
}

function missing(reference: string, why: string): ProtocolError {
  return new ProtocolError("image_unavailable", `image ${reference} ${why}`, { reference });
}
