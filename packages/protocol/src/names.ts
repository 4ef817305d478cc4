/**
 * Names and identifiers: what they look like and how they are told apart.
 *
 * A name is what a person chose (project, stack, service ...), an identifier is what the platform made
 * (task, deployment ...). Both are safe in paths, store keys, container labels and DNS by construction.
 */

import { Type } from "typebox";
import { NAME_PATTERN } from "./name-pattern.ts";

/** Names inside a Compose file may also have upper case, dots and underscores. */
export const COMPOSE_NAME_PATTERN = "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$";

export const DEFAULT_PROJECT = "default";
export const DEFAULT_ENVIRONMENT = "main";

/** Stands where a cluster-wide object has no project or environment; no name can be equal to it. */
export const CLUSTER_SCOPE = "-";

export const Name = Type.String({ pattern: NAME_PATTERN, maxLength: 63 });
export const ComposeName = Type.String({ pattern: COMPOSE_NAME_PATTERN, maxLength: 63 });
/** `sha256:` and 64 hexadecimal digits. */
export const Digest = Type.String({ pattern: "^sha256:[a-f0-9]{64}$" });
/** Made by the platform: lower-case letters and digits. */
export const Identifier = Type.String({ pattern: "^[a-z0-9]{6,40}$" });
/** Wall time, milliseconds since the Unix epoch. */
export const Timestamp = Type.Number({ minimum: 0 });

/** A project's environment; `CLUSTER_SCOPE` as both stands for the whole cluster. */
export interface EnvironmentScope {
  readonly project: string;
  readonly environment: string;
}

/** Project, environment and stack: what almost everything belongs to. */
export interface StackScope extends EnvironmentScope {
  readonly stack: string;
}

/** A service in its stack. */
export interface ServiceScope extends StackScope {
  readonly service: string;
}

/** `default/main/shop/web`: the one text form of a service's place, used as map key and in logs. */
export function serviceKey(scope: ServiceScope): string {
  return `${scope.project}/${scope.environment}/${scope.stack}/${scope.service}`;
}

/** `default/main/shop` */
export function stackKey(scope: StackScope): string {
  return `${scope.project}/${scope.environment}/${scope.stack}`;
}
