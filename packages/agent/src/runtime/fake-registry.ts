/**
 * A registry of images for fakes: several fake hosts pull from one.
 *
 * Digests are functions of what was put in, so that the same test gives the same identifiers.
 */

import { createHash } from "node:crypto";
import type { RegistryAuth } from "@berth/protocol";

export interface FakeImage {
  readonly reference: string;
  /** `sha256:...` of its configuration. */
  readonly imageId: string;
  readonly manifestDigest: string;
  readonly sizeBytes: number;
  readonly exposed: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  /** Time that a pull takes. */
  readonly pullMs: number;
  /** Needed to pull it. */
  readonly auth?: RegistryAuth;
  /** Made on a host: no registry has it. */
  readonly built?: boolean;
}

/** What is said of an image; the rest follows from the reference and `content`. */
export interface FakeImageInput {
  readonly reference: string;
  /** Images with other content have other digests; the reference by default. */
  readonly content?: string;
  readonly sizeBytes?: number;
  readonly exposed?: readonly number[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly pullMs?: number;
  readonly auth?: RegistryAuth;
}

const SIZE_BYTES_DEFAULT = 10_000_000;
const PULL_MS_DEFAULT = 400;

export class FakeRegistry {
  readonly #images = new Map<string, FakeImage>();
  readonly #any: boolean;
  /** Unreachable while true. */
  down = false;

  /** With `any`, every reference that was not put exists nevertheless. */
  constructor(options: { readonly any?: boolean } = {}) {
    this.#any = options.any ?? false;
  }

  /** Puts an image under its reference; what was there before stays reachable by digest. */
  put(input: FakeImageInput): FakeImage {
    const image = fakeImage(input);
    this.#images.set(image.reference, image);
    this.#images.set(digestReference(image), image);
    return image;
  }

  /** By tag or by digest. */
  find(reference: string): FakeImage | undefined {
    const found = this.#images.get(reference);
    if (found !== undefined || !this.#any || reference.includes("@")) return found;
    return this.put({ reference });
  }
}

/** An image with all its fields; deterministic. */
export function fakeImage(input: FakeImageInput): FakeImage {
  const content = input.content ?? input.reference;
  return {
    reference: input.reference,
    imageId: digestOf(`config ${content}`),
    manifestDigest: digestOf(`manifest ${content}`),
    sizeBytes: input.sizeBytes ?? SIZE_BYTES_DEFAULT,
    exposed: input.exposed ?? [],
    labels: input.labels ?? {},
    pullMs: input.pullMs ?? PULL_MS_DEFAULT,
    ...(input.auth === undefined ? {} : { auth: input.auth }),
  };
}

/** `name@sha256:...` */
export function digestReference(image: FakeImage): string {
  return `${repositoryOf(image.reference)}@${image.manifestDigest}`;
}

/** The reference without tag and digest. */
export function repositoryOf(reference: string): string {
  const name = reference.split("@", 1)[0] ?? reference;
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
