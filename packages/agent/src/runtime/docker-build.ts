/**
 * Builds at a Docker engine: context in, lines out, an image with our label.
 *
 * The classic builder is used: it is in every engine, takes memory and processor limits, and ends when its
 * connection does. Build arguments and labels pass as JSON, never through a shell.
 */

import { buffer } from "node:stream/consumers";
import type { Clock } from "@berth/base";
import {
  type BuildSpec,
  DEFAULT_REGISTRY,
  ProtocolError,
  type RegistryAuth,
  type Resources,
} from "@berth/protocol";
import { pack } from "tar-stream";
import type { EngineClient } from "./docker-client.ts";
import { type DockerImages, paddedBase64Url } from "./docker-images.ts";
import { followProgress, type ProgressEnd } from "./docker-progress.ts";
import { refusal } from "./docker-refusal.ts";
import { type ImageInfo, type ImageProgress, LABEL_CLUSTER } from "./port.ts";

export interface BuildOptions {
  readonly cluster: string;
  readonly limits: Resources;
  readonly auths?: readonly RegistryAuth[];
  readonly onProgress?: (progress: ImageProgress) => void;
  readonly signal?: AbortSignal;
}

/** Processor time is given out in periods of this length. */
const CPU_PERIOD_MICROS = 100_000;

export interface BuildInput {
  /** The result's tag. */
  readonly reference: string;
  readonly spec: BuildSpec;
  /** A tar archive. */
  readonly context: AsyncIterable<Uint8Array>;
}

export async function buildImage(
  engine: { readonly client: EngineClient; readonly images: DockerImages; readonly clock: Clock },
  input: BuildInput,
  options: BuildOptions,
): Promise<ImageInfo> {
  const { reference, spec, context } = input;
  const { onProgress, signal } = options;
  await fetchCacheImages(engine.images, spec.cacheFrom ?? [], signal);
  const end = await followProgress(
    engine.client,
    {
      method: "POST",
      path: "/build",
      query: queryOf(reference, spec, options),
      headers: registryConfig(options.auths ?? []),
      stream: withDockerfile(spec, context),
      context: `build image ${reference}`,
    },
    { clock: engine.clock, onProgress, signal },
  );
  if (end.failure !== undefined) throw failed(reference, end, end.failure);
  const built = await engine.images.inspect(end.imageId ?? reference, signal);
  if (built === undefined) throw failed(reference, end, "the result is not there");
  return { ...built, reference };
}

/** The name under which engines know Docker Hub's login. */
const DEFAULT_REGISTRY_ADDRESS = "https://index.docker.io/v1/";

function registryConfig(auths: readonly RegistryAuth[]): Readonly<Record<string, string>> {
  if (auths.length === 0) return {};
  const entries = auths.map(({ server, username, password }) => [
    server === DEFAULT_REGISTRY ? DEFAULT_REGISTRY_ADDRESS : server,
    { username, password },
  ]);
  return { "x-registry-config": paddedBase64Url(JSON.stringify(Object.fromEntries(entries))) };
}

/** The classic builder takes layers of images that are there; one that cannot be had only helps nothing. */
async function fetchCacheImages(
  images: DockerImages,
  references: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const reference of references) {
    try {
      await images.ensure({ reference }, signal === undefined ? {} : { signal });
    } catch {
      signal?.throwIfAborted();
    }
  }
}

/** Two blocks of zeros end an archive: what stands before them can be put before another archive. */
const ARCHIVE_END_BYTES = 1_024;

/** The context with the Dockerfile of the stack file in it. */
async function* withDockerfile(
  { dockerfile, dockerfileText }: BuildSpec,
  context: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  if (dockerfileText !== undefined) {
    const archive = pack();
    archive.entry({ name: dockerfile }, dockerfileText);
    archive.finalize();
    const bytes = await buffer(archive);
    yield bytes.subarray(0, bytes.length - ARCHIVE_END_BYTES);
  }
  yield* context;
}

function queryOf(reference: string, spec: BuildSpec, options: BuildOptions) {
  const { cpuMillis, memoryBytes } = options.limits;
  return {
    t: [reference, ...(spec.tags ?? [])],
    version: 1,
    rm: true,
    forcerm: true,
    dockerfile: spec.dockerfile,
    target: spec.target,
    buildargs: JSON.stringify(spec.args),
    labels: JSON.stringify({ ...spec.labels, [LABEL_CLUSTER]: options.cluster }),
    nocache: spec.noCache,
    pull: spec.pull,
    networkmode: spec.networkMode,
    shmsize: spec.shmSizeBytes,
    extrahosts: spec.extraHosts,
    platform: spec.platform,
    cachefrom: spec.cacheFrom === undefined ? undefined : JSON.stringify(spec.cacheFrom),
    isolation: spec.isolation,
    ulimits:
      spec.ulimits === undefined
        ? undefined
        : JSON.stringify(
            Object.entries(spec.ulimits).map(([name, { soft, hard }]) => ({
              Name: name,
              Soft: soft,
              Hard: hard,
            })),
          ),
    memory: memoryBytes,
    // As much swap as memory is none: a build must not page the machine to a standstill.
    memswap: memoryBytes,
    cpuperiod: cpuMillis === undefined ? undefined : CPU_PERIOD_MICROS,
    cpuquota: cpuMillis === undefined ? undefined : (cpuMillis * CPU_PERIOD_MICROS) / 1_000,
  };
}

/** What classic builders say of `RUN --mount`, `COPY --chmod`, `COPY --link` and the like. */
const NEEDS_BUILDKIT = /requires BuildKit|unknown flag: (?:link|mount|chmod|exclude|parents)/i;
const BUILDKIT_ADVICE =
  "nodes build with the engine's classic builder: build this image where BuildKit is (docker buildx build --push) and give its name under image:";

/** What went wrong, at which step, with what to do where that is known. Exported for its test. */
export function failed(reference: string, end: ProgressEnd, words: string): ProtocolError {
  const known = refusal(`build of ${reference}`, 500, words);
  if (known.code === "storage_full") return known;
  const advice = NEEDS_BUILDKIT.test(words) ? `; ${BUILDKIT_ADVICE}` : "";
  const place = end.step === undefined ? "" : ` at step ${end.step}`;
  return new ProtocolError(
    "build_failed",
    `build of ${reference} failed${place}: ${words.trim()}${advice}`,
    {
      reference,
      ...(end.step === undefined ? {} : { step: end.step }),
      words: words.trim(),
      lastLines: end.lastLines,
    },
  );
}
