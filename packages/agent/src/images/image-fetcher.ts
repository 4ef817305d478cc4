/**
 * How a pinned image comes to this node: from its engine, from its registry, or from another node that has it.
 *
 * The registry comes first where there is one; other nodes are asked when it does not give the image (it cannot
 * be reached, has it no more) and for images that no registry ever had. A registry that refuses this cluster's
 * login is the last word: what one project may read, another gets by no other way. What another node sends
 * counts only if its identifier is the wanted one.
 * Design page: docs/design/images.md
 */

import { GIB, type Logger } from "@berth/base";
import { type ApiClient, asProtocolError, type PinnedImage, ProtocolError } from "@berth/protocol";
import type { ImageInfo, ImageProgress, Runtime } from "../runtime/port.ts";

/** An archive over this is no image but a mistake, or a disk that is being filled. */
export const IMAGE_ARCHIVE_BYTES_MAX = 64 * GIB;

/** Why a registry did not give an image, where another node may. */
const OTHERS_MAY_HAVE: ReadonlySet<unknown> = new Set([
  "not_local",
  "unreachable",
  "not_found",
  "rate_limited",
  "failed",
]);

export interface ImageFetcherOptions {
  readonly api: Pick<ApiClient, "call" | "download">;
  readonly node: string;
  readonly runtime: Pick<Runtime, "ensureImage" | "inspectImage" | "loadImage">;
  readonly log: Logger;
}

export type EnsureImageOptions = Parameters<Runtime["ensureImage"]>[1];

export class ImageFetcher {
  readonly #options: ImageFetcherOptions;
  /** Transfers from other nodes under way, by image: a second one of the same image waits for the first. */
  readonly #under = new Map<string, Promise<unknown>>();

  constructor(options: ImageFetcherOptions) {
    this.#options = options;
  }

  /**
   * Makes the image present. Answers what it is here.
   *
   * @throws ProtocolError `image_unavailable` when nobody gives it; `unavailable` and the like when it is
   * worth to try again.
   */
  async ensure(image: PinnedImage, options: EnsureImageOptions): Promise<ImageInfo> {
    try {
      return await this.#options.runtime.ensureImage(image, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      const refused = asProtocolError(error);
      const mayBeElsewhere = OTHERS_MAY_HAVE.has(refused.details["reason"]);
      if (refused.code !== "image_unavailable" || !mayBeElsewhere) throw error;
      return await this.#inTurn(image, options, refused);
    }
  }

  async #inTurn(
    image: PinnedImage,
    options: EnsureImageOptions,
    refused: ProtocolError,
  ): Promise<ImageInfo> {
    const key = image.imageId ?? image.repoDigest ?? image.reference;
    for (let under = this.#under.get(key); under !== undefined; under = this.#under.get(key)) {
      await settledOrAborted(under, options.signal);
    }
    const transfer = this.#transfer(image, options, refused);
    this.#under.set(key, transfer);
    try {
      return await transfer;
    } finally {
      this.#under.delete(key);
    }
  }

  async #transfer(
    image: PinnedImage,
    { onProgress, signal }: EnsureImageOptions,
    refused: ProtocolError,
  ): Promise<ImageInfo> {
    const { api, node, runtime, log } = this.#options;
    const { reference } = image;
    const wanted = image.imageId ?? image.repoDigest;
    if (wanted === undefined) throw refused;
    const params = { node };
    const asked = api.call("findImage", {
      params,
      query: { image: wanted },
      ...(signal === undefined ? {} : { signal }),
    });
    const source = await asked.catch((error: unknown) => {
      if (asProtocolError(error).code !== "not_found") throw error;
      const message = `${refused.message}; no other node has it`;
      throw new ProtocolError("image_unavailable", message, refused.details, { cause: error });
    });
    const { imageId, sizeBytes, nodes } = source;
    const local = await runtime.inspectImage(imageId, signal);
    if (local !== undefined) return local;
    log.info("an image comes from another node", { image: reference, imageId, nodes });
    const archive = await api.download("getNodeImage", {
      params: { node, digest: imageId },
      ...(signal === undefined ? {} : { signal }),
    });
    const counted = counting(archive, { sizeBytes, onProgress });
    return await runtime.loadImage(counted, { imageId, reference }, signal);
  }
}

/** The bytes as they pass, told and limited. */
async function* counting(
  bytes: AsyncIterable<Uint8Array>,
  options: {
    readonly sizeBytes: number | undefined;
    readonly onProgress: ((progress: ImageProgress) => void) | undefined;
  },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { sizeBytes, onProgress } = options;
  let doneBytes = 0;
  for await (const chunk of bytes) {
    doneBytes += chunk.length;
    if (doneBytes > IMAGE_ARCHIVE_BYTES_MAX) {
      const details = { limit: "archive of an image", maximum: IMAGE_ARCHIVE_BYTES_MAX };
      throw new ProtocolError("limit_exceeded", "the archive of an image is too large", details);
    }
    // An archive is a little more than its content: people see no more than all of it.
    const total = sizeBytes === undefined ? {} : { totalBytes: Math.max(sizeBytes, doneBytes) };
    onProgress?.({ doneBytes, ...total });
    yield chunk;
  }
}

async function settledOrAborted(
  promise: Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const settled = promise.catch(() => {
    // Its owner hears of it; here it only matters that it is over.
  });
  try {
    signal?.throwIfAborted();
    await Promise.race([settled, aborted.promise]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
