/**
 * The resources of a project that its services use: the only ones that the canonical form shows.
 */

import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";

/** `project` without networks, volumes, configs and secrets that no active service uses. */
export function withoutUnused(project: ComposeProject): ComposeProject {
  const services = Object.values(project.services);
  return {
    ...project,
    networks: pick(project.networks, services, (one) => Object.keys(one.networks ?? {})),
    volumes: pick(project.volumes, services, volumesOf),
    configs: pick(project.configs, services, (one) => (one.configs ?? []).map((use) => use.source)),
    secrets: pick(project.secrets, services, secretsOf),
  };
}

function pick<T>(
  resources: Readonly<Record<string, T>>,
  services: readonly ComposeService[],
  usedBy: (service: ComposeService) => readonly string[],
): Readonly<Record<string, T>> {
  const used = new Set(services.flatMap(usedBy));
  return Object.fromEntries(Object.entries(resources).filter(([key]) => used.has(key)));
}

function volumesOf(service: ComposeService): readonly string[] {
  return (service.volumes ?? []).flatMap((mount) =>
    mount.type === "volume" && mount.source !== undefined ? [mount.source] : [],
  );
}

function secretsOf(service: ComposeService): readonly string[] {
  return [...(service.secrets ?? []), ...(service.build?.secrets ?? [])].map((use) => use.source);
}
