/**
 * Logins at image registries: what nodes show a registry when they look up, pull or build on an image.
 *
 * A login belongs to one project, or to the cluster: then every project uses it that has none of its own for
 * the same registry. The password never leaves the server but to a node that has work of such a project.
 */

import { Type } from "typebox";
import { Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";

/** Host and port, as the first part of a reference says it: `registry.example.com:5000`, `docker.io`. */
export const RegistryServer = Type.String({
  pattern: "^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?$",
  maxLength: 255,
});

/** A login as lists show it. Written by the API. */
export const RegistryLogin = Type.Object({
  server: RegistryServer,
  /** Absent for a login of the whole cluster. */
  project: Type.Optional(Type.String()),
  username: Type.String(),
  updatedAt: Timestamp,
});
export type RegistryLogin = Of<typeof RegistryLogin>;

/** What an image without a registry in its name comes from. */
export const DEFAULT_REGISTRY = "docker.io";

/**
 * The registry of a reference, by the rule of the reference grammar: the first part is a host when it has a
 * dot or a colon, or is `localhost`; everything else is Docker Hub's.
 */
export function registryOf(reference: string): string {
  const slash = reference.indexOf("/");
  const first = slash === -1 ? "" : reference.slice(0, slash);
  const isHost = first.includes(".") || first.includes(":") || first === "localhost";
  const host = isHost ? first.toLowerCase() : DEFAULT_REGISTRY;
  return host === "index.docker.io" ? DEFAULT_REGISTRY : host;
}

/**
 * One spelling of a reference: with its registry, Docker Hub's `library`, and a tag unless it has a digest.
 * `nginx`, `docker.io/nginx` and `library/nginx:latest` are one image.
 */
export function fullReference(reference: string): string {
  const registry = registryOf(reference);
  const [name = "", digest] = reference.split("@", 2);
  const slash = name.indexOf("/");
  const isHost = slash !== -1 && /[.:]|^localhost$/.test(name.slice(0, slash));
  const path = isHost ? name.slice(slash + 1) : name;
  const plain = registry === DEFAULT_REGISTRY && !path.includes("/") ? `library/${path}` : path;
  const full = `${registry}/${plain}`;
  if (digest !== undefined) return `${full.replace(/:[^/:]*$/, "")}@${digest}`;
  return /:[^/]*$/.test(plain) ? full : `${full}:latest`;
}
