/**
 * Images pinned to digests, by the engine of this machine: it asks the registries, with the ways out that it has.
 */

import { ProtocolError } from "@berth/protocol";
import { askEngine } from "../platform/local-engine.ts";
import { dataDirOf, platformPaths } from "../platform/paths.ts";
import { readSettings } from "../platform/settings.ts";

/** Registries are asked one after the other by one engine; so many at once are polite. */
const QUESTIONS_AT_ONCE = 4;

/** The parts of an image's reference, the host and the tag put in where they are left out. */
export interface ImageReference {
  /** `docker.io/library/nginx` */
  readonly repository: string;
  readonly tag: string;
  readonly digest?: string;
}

/** `nginx` → `docker.io/library/nginx`, `latest`. A reference with a digest keeps no tag. */
export function parseReference(text: string): ImageReference {
  const [named = "", digest] = text.split("@");
  const slash = named.lastIndexOf("/");
  const colon = named.indexOf(":", slash + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? "latest" : named.slice(colon + 1);
  const first = name.slice(0, Math.max(name.indexOf("/"), 0));
  const hasHost = /[.:]/.test(first) || first === "localhost";
  const path = first === "" ? `library/${name}` : name;
  const repository = hasHost ? name : `docker.io/${path}`;
  return { repository, tag, ...(digest === undefined ? {} : { digest }) };
}

/**
 * The references of `images` with digests, by reference as written.
 *
 * @throws ProtocolError `unavailable` when the engine or a registry does not answer.
 */
export async function resolveDigests(
  images: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ReadonlyMap<string, string>> {
  const waiting = [...new Set(images)];
  const resolved = new Map<string, string>();
  const work = async () => {
    for (let image = waiting.pop(); image !== undefined; image = waiting.pop()) {
      resolved.set(image, await resolveOne(image, socketOf(environment)));
    }
  };
  await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, work));
  return resolved;
}

async function resolveOne(image: string, socket: string): Promise<string> {
  const { repository, tag, digest } = parseReference(image);
  if (digest !== undefined) return `${repository}@${digest}`;
  const path = `/distribution/${encodeURI(`${repository}:${tag}`)}/json`;
  const answer = (await askEngine(socket, path).catch((error: unknown) => {
    const message = `no engine answers at ${socket}; it is asked for the digest of ${image}`;
    throw new ProtocolError("unavailable", message, { socket }, { cause: error });
  })) as { readonly Descriptor?: { readonly digest?: string }; readonly message?: string };
  const found = answer.Descriptor?.digest;
  if (found !== undefined) return `${repository}:${tag}@${found}`;
  const reason = answer.message ?? "the engine did not say why";
  throw new ProtocolError("unavailable", `the digest of ${image} cannot be found: ${reason}`, {
    image,
  });
}

function socketOf(environment: Readonly<Record<string, string | undefined>>): string {
  const host = environment["DOCKER_HOST"] ?? "";
  if (host.startsWith("unix://")) return host.slice("unix://".length);
  const userId = process.getuid?.() ?? 0;
  const paths = platformPaths(dataDirOf(environment, userId), environment, userId);
  return readSettings(paths.settings).engineSocket;
}
