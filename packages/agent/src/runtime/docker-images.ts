/**
 * Images at a Docker engine: look, pull by digest, list, remove.
 *
 * What an image ID stands for never changes, only whether it is there; so what was seen once is remembered,
 * and `ensureImage` of a known one asks nothing. Should somebody have removed it behind our back, the create
 * says so: then it is forgotten and the next `ensureImage` fetches it again. No event stream is needed.
 */

import type { Clock } from "@berth/base";
import { type PinnedImage, ProtocolError, type RegistryAuth } from "@berth/protocol";
import { loadArchive } from "./docker-archives.ts";
import { type EngineClient, wordsOf } from "./docker-client.ts";
import type { ImageDefaults } from "./docker-create.ts";
import { textAt, textsAt } from "./docker-json.ts";
import { followProgress } from "./docker-progress.ts";
import { refusal, registryRefusal } from "./docker-refusal.ts";
import { entrypointOf, imageOfInspect, imageOfListing, repositoryOf } from "./docker-state.ts";
import type { ImageInfo, ImageProgress, RegistryAuthSource } from "./port.ts";

export interface EnsureOptions {
  readonly auth?: RegistryAuthSource;
  readonly onProgress?: (progress: ImageProgress) => void;
  readonly signal?: AbortSignal;
}

interface KnownImage {
  readonly info: ImageInfo;
  readonly defaults: ImageDefaults;
}

/** Images of one machine; a few hundred bytes each. */
const KNOWN_IMAGES_MAX = 1_000;
/** A registry far away answers within this, or not at all. */
const REGISTRY_TIMEOUT_MS = 60_000;

export class DockerImages {
  readonly #client: EngineClient;
  readonly #clock: Clock;
  readonly #known = new Map<string, KnownImage>();

  constructor(client: EngineClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async inspect(reference: string, signal?: AbortSignal): Promise<ImageInfo | undefined> {
    return (await this.#look(reference, signal))?.info;
  }

  /** What the engine would take from the image where a request says nothing. */
  async defaultsOf(imageId: string, signal?: AbortSignal): Promise<ImageDefaults> {
    const known = this.#known.get(imageId) ?? (await this.#look(imageId, signal));
    return known?.defaults ?? { entrypoint: [] };
  }

  /** The engine has said that it is not there. */
  forget(imageId: string): void {
    this.#known.delete(imageId);
  }

  async resolveRemote(
    reference: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly repoDigest: string }> {
    const { status, body } = await this.#client.answer({
      method: "GET",
      path: `/distribution/${pathOf(reference)}/json`,
      headers: authHeader(auth),
      context: `look up image ${reference}`,
      timeoutMs: REGISTRY_TIMEOUT_MS,
      signal,
    });
    const digest = textAt(body, "Descriptor", "digest");
    if (status !== 200 || digest === undefined) throw registryRefusal(reference, wordsOf(body));
    return { repoDigest: `${repositoryOf(reference)}@${digest}` };
  }

  async ensure(image: PinnedImage, options: EnsureOptions): Promise<ImageInfo> {
    const known = image.imageId === undefined ? undefined : this.#known.get(image.imageId);
    if (known !== undefined) return known.info;
    const wanted = image.imageId ?? image.repoDigest ?? image.reference;
    const local = await this.inspect(wanted, options.signal);
    if (local !== undefined) return local;
    if (image.imageId !== undefined && image.repoDigest === undefined) throw notLocal(image);
    const source = image.repoDigest ?? image.reference;
    await this.#pull(source, options);
    const pulled = await this.inspect(source, options.signal);
    if (pulled === undefined) throw registryRefusal(source, "it is not there after its pull");
    return pulled;
  }

  /** See `Runtime.loadImage`. */
  async load(
    archive: AsyncIterable<Uint8Array>,
    { imageId, reference }: { readonly imageId: string; readonly reference: string },
    signal?: AbortSignal,
  ): Promise<ImageInfo> {
    const context = `load image ${reference}`;
    const loaded = await loadArchive(this.#client, archive, context, signal);
    const others = loaded.filter((id) => id !== imageId);
    for (const other of others) await this.remove(other, signal);
    const found = await this.inspect(imageId, signal);
    if (found === undefined) {
      const message = `image ${reference} did not arrive: the archive has ${others.join(", ") || "nothing"}, not ${imageId}`;
      const details = { reference, imageId, found: others, reason: "other_content" };
      throw new ProtocolError("image_unavailable", message, details);
    }
    if (!reference.includes("@") && (await this.inspect(reference, signal)) === undefined) {
      const { fromImage: repo, tag } = pullQuery(reference);
      const path = `/images/${pathOf(imageId)}/tag`;
      await this.#client.call({ method: "POST", path, query: { repo, tag }, context, signal });
    }
    return found;
  }

  async list(signal?: AbortSignal): Promise<readonly ImageInfo[]> {
    const body = await this.#client.call({
      method: "GET",
      path: "/images/json",
      context: "list images",
      signal,
    });
    return Array.isArray(body) ? body.map(imageOfListing) : [];
  }

  async remove(imageId: string, signal?: AbortSignal): Promise<void> {
    this.forget(imageId);
    const { status, body } = await this.#delete(imageId, signal);
    if (status === 200 || status === 404) return;
    // An image with several names goes when the last of them goes; forcing would take it from
    // stopped containers, too.
    const severalNames = status === 409 && /multiple repositories/.test(wordsOf(body));
    if (!severalNames) throw refusal(`remove image ${imageId}`, status, wordsOf(body));
    for (const name of (await this.inspect(imageId, signal))?.references ?? []) {
      const answer = await this.#delete(name, signal);
      if (answer.status === 200 || answer.status === 404) continue;
      throw refusal(`remove image ${name}`, answer.status, wordsOf(answer.body));
    }
    this.forget(imageId);
  }

  #delete(name: string, signal: AbortSignal | undefined) {
    const path = `/images/${pathOf(name)}`;
    const context = `remove image ${name}`;
    return this.#client.answer({ method: "DELETE", path, context, signal });
  }

  async #look(reference: string, signal?: AbortSignal): Promise<KnownImage | undefined> {
    const context = `look at image ${reference}`;
    const path = `/images/${pathOf(reference)}/json`;
    const { status, body } = await this.#client.answer({ method: "GET", path, context, signal });
    if (status === 404) return undefined;
    if (status !== 200) throw refusal(context, status, wordsOf(body));
    const info = imageOfInspect(body, reference);
    const known = { info, defaults: { entrypoint: entrypointOf(body) } };
    if (this.#known.size >= KNOWN_IMAGES_MAX) this.#known.clear();
    this.#known.set(info.imageId, known);
    return known;
  }

  async #pull(source: string, options: EnsureOptions): Promise<void> {
    const { clock, query } = { clock: this.#clock, query: pullQuery(source) };
    const call = {
      method: "POST",
      path: "/images/create",
      query,
      headers: authHeader(await options.auth?.()),
      context: `pull image ${source}`,
    } as const;
    const { onProgress, signal } = options;
    let failure: string | undefined;
    try {
      const end = await followProgress(this.#client, call, { clock, onProgress, signal });
      failure = end.failure;
    } catch (error) {
      throw error instanceof ProtocolError ? asRegistryError(error, source) : error;
    }
    if (failure !== undefined) throw registryRefusal(source, failure);
  }
}

/** A reference as part of a path: its slashes stay. */
export function pathOf(reference: string): string {
  return reference.split("/").map(encodeURIComponent).join("/");
}

/** Without a tag the engine would pull every tag of a repository. */
function pullQuery(source: string): { readonly fromImage: string; readonly tag: string } {
  const repository = repositoryOf(source);
  const rest = source.slice(repository.length);
  const tag = rest.startsWith("@") ? rest.slice(1) : (rest.slice(1).split("@")[0] ?? "");
  const digest = /@(.+)$/.exec(rest)?.[1];
  return { fromImage: repository, tag: digest ?? (tag === "" ? "latest" : tag) };
}

function authHeader(auth: RegistryAuth | undefined): Readonly<Record<string, string>> {
  if (auth === undefined) return {};
  const { username, password, server } = auth;
  const text = JSON.stringify({ username, password, serveraddress: server });
  return { "x-registry-auth": paddedBase64Url(text) };
}

/** Without padding the engine takes credentials for none at all, and says nothing. */
export function paddedBase64Url(text: string): string {
  const encoded = Buffer.from(text).toString("base64url");
  return encoded.padEnd(Math.ceil(encoded.length / 4) * 4, "=");
}

/** Before its first line the engine answers with a status instead. */
function asRegistryError(error: ProtocolError, source: string): ProtocolError {
  const words = textsAt({ words: [error.details["words"]] }, "words")[0];
  const fromRegistry = error.code === "engine_error" || error.code === "not_found";
  if (fromRegistry && words !== undefined) return registryRefusal(source, words);
  return error;
}

function notLocal(image: PinnedImage): ProtocolError {
  return new ProtocolError(
    "image_unavailable",
    `image ${image.reference} is not on this node, and no registry is known to have it`,
    { reference: image.reference, imageId: image.imageId, reason: "not_local" },
  );
}
