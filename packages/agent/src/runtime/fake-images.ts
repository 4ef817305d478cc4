/** Images of a fake host: what is local, what its registry has, what is built. */

import {
  type BuildSpec,
  type PinnedImage,
  ProtocolError,
  type RegistryAuth,
} from "@berth/protocol";
import type { FakeHost } from "./fake-host.ts";
import { digestReference, type FakeImage, fakeImage } from "./fake-registry.ts";
import { type ImageInfo, type ImageProgress, LABEL_CLUSTER } from "./port.ts";

export class FakeImages {
  readonly #host: FakeHost;

  constructor(host: FakeHost) {
    this.#host = host;
  }

  /** A local image by identifier, tag or digest. */
  find(reference: string): ImageInfo | undefined {
    const image = this.#local(reference);
    return image === undefined ? undefined : infoOf(image);
  }

  list(): ImageInfo[] {
    return [...this.#host.images.values()].map((image) => infoOf(image));
  }

  resolve(reference: string, auth: RegistryAuth | undefined): { readonly repoDigest: string } {
    return { repoDigest: digestReference(this.#remote(reference, auth)) };
  }

  isPresent(image: PinnedImage): boolean {
    return this.#present(image) !== undefined;
  }

  /** Time of the pull that `image` would need. */
  pullMs(image: PinnedImage): number {
    if (this.#present(image) !== undefined || image.repoDigest === undefined) return 0;
    return this.#host.registry.find(image.repoDigest)?.pullMs ?? 0;
  }

  ensure(
    pinned: PinnedImage,
    auth: RegistryAuth | undefined,
    onProgress: ((progress: ImageProgress) => void) | undefined,
  ): ImageInfo {
    const present = this.#present(pinned);
    if (present !== undefined) return infoOf(present);
    if (pinned.repoDigest === undefined) {
      throw unavailable(pinned.reference, "not_local", "it is not on this node and in no registry");
    }
    const image = this.#remote(pinned.repoDigest, auth);
    onProgress?.({ doneBytes: image.sizeBytes, totalBytes: image.sizeBytes });
    this.#host.images.set(image.imageId, image);
    return infoOf(image);
  }

  /** A Dockerfile named `Failfile` fails; all others give an image made of the whole specification. */
  build(reference: string, spec: BuildSpec, cluster: string): ImageInfo {
    if (spec.dockerfile === "Failfile") {
      throw new ProtocolError("build_failed", `build of ${reference} failed at step 2/2`, {
        step: "2/2 : COPY missing /",
        lastLines: ["Step 2/2 : COPY missing /"],
      });
    }
    const labels = { ...spec.labels, [LABEL_CLUSTER]: cluster };
    const content = JSON.stringify(spec);
    const image = { ...fakeImage({ reference, content, labels }), built: true };
    this.#host.images.set(image.imageId, image);
    return infoOf(image);
  }

  save(imageId: string): Uint8Array {
    const image = this.#host.images.get(imageId);
    if (image === undefined) {
      throw new ProtocolError("not_found", `the engine has no image ${imageId}`, { imageId });
    }
    return Buffer.from(JSON.stringify(image));
  }

  /** The archive of `save`; no registry's digest comes with it. */
  load(
    archive: Uint8Array,
    { imageId, reference }: { readonly imageId: string; readonly reference: string },
  ): ImageInfo {
    const found = JSON.parse(Buffer.from(archive).toString()) as FakeImage;
    if (found.imageId !== imageId) {
      const words = `the archive has ${found.imageId}, not ${imageId}`;
      throw unavailable(reference, "other_content", words);
    }
    const name = this.#local(reference) === undefined ? reference : imageId;
    const image: FakeImage = { ...found, reference: name, built: true };
    this.#host.images.set(imageId, image);
    return infoOf(image);
  }

  #present(pinned: PinnedImage): FakeImage | undefined {
    if (pinned.imageId !== undefined) return this.#host.images.get(pinned.imageId);
    return this.#local(pinned.repoDigest ?? pinned.reference);
  }

  #local(reference: string): FakeImage | undefined {
    return [...this.#host.images.values()].findLast(
      (image) =>
        image.imageId === reference ||
        image.reference === reference ||
        digestReference(image) === reference,
    );
  }

  #remote(reference: string, auth: RegistryAuth | undefined): FakeImage {
    const { registry } = this.#host;
    if (registry.down) throw unavailable(reference, "unreachable", "the registry does not answer");
    const image = registry.find(reference);
    if (image === undefined) throw unavailable(reference, "not_found", "manifest unknown");
    const needed = image.auth;
    const allowed =
      needed === undefined ||
      (auth?.username === needed.username && auth.password === needed.password);
    if (!allowed) throw unavailable(reference, "unauthorized", "unauthorized");
    return image;
  }
}

function infoOf(image: FakeImage): ImageInfo {
  const pulled = image.built !== true;
  return {
    reference: image.reference,
    imageId: image.imageId,
    ...(pulled ? { repoDigest: digestReference(image) } : {}),
    sizeBytes: image.sizeBytes,
    exposed: image.exposed,
    references: pulled ? [image.reference, digestReference(image)] : [image.reference],
    labels: image.labels,
  };
}

function unavailable(reference: string, reason: string, words: string): ProtocolError {
  return new ProtocolError("image_unavailable", `image ${reference} cannot be had: ${words}`, {
    reference,
    reason,
    words,
  });
}
