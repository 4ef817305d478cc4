/**
 * Profiles: which services take part.
 */

import type { ComposeService } from "../model/service-model.ts";
import { compareBytes } from "../text/go-number.ts";
import type { Environment } from "./session.ts";

/**
 * The profiles that were asked for, `COMPOSE_PROFILES` when none were. Without either the profile "" is active, as in
 * the reference, where that is the one word of an empty text.
 */
export function activeProfiles(
  asked: readonly string[] | undefined,
  environment: Environment,
): ReadonlySet<string> {
  const names = asked ?? (environment.get("COMPOSE_PROFILES") ?? "").split(",");
  return new Set(names.map((name) => name.trim()));
}

/** A service without profiles always takes part. */
export function isActive(service: ComposeService, active: ReadonlySet<string>): boolean {
  const { profiles } = service;
  if (profiles === undefined || profiles.length === 0 || active.has("*")) return true;
  return profiles.some((profile) => active.has(profile));
}

/** Every profile that a service names, sorted. */
export function profilesOf(services: Readonly<Record<string, ComposeService>>): readonly string[] {
  const names = Object.values(services).flatMap((service) => service.profiles ?? []);
  return [...new Set(names)].sort(compareBytes);
}
