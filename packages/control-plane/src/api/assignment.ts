/**
 * The task as its agent needs it: joined with the service that it runs by, its volumes' options and the
 * versions of its configs and secrets. A pure function of the view.
 *
 * That service is the stack's current one where the template is the same: what needs no new container
 * (routes, ports, grace periods, drains, log limits) reaches tasks that run on.
 */

import {
  type Assignment,
  type Release,
  reportedOf,
  type ServiceSpec,
  secretsOfRoutes,
  type Task,
} from "@berth/protocol";
import { specOfTask } from "../release/spec-of-task.ts";
import type { ClusterView } from "../state/cluster-tables.ts";

/** The assignment of `task`; `undefined` while its release is not (or no longer) known. */
export function assignmentOf(view: ClusterView, task: Task): Assignment | undefined {
  const found = specOfTask(view, task);
  if (found === undefined) return undefined;
  const { release, service } = found;
  const status = view.statuses.by("task", task.id)[0]?.value;
  return {
    task,
    spec: service.spec,
    image: service.image,
    volumes: volumesOf(release, task),
    configs: pick(release.configs, service.spec.configs, ({ digest }) => ({ digest })),
    secrets: pick(release.secrets, secretReferences(service.spec), ({ version }) => ({ version })),
    ...(status === undefined ? {} : { reported: reportedOf(status) }),
  };
}

/** Secrets that a task's node needs: in its container, and at the door of its routes. */
export function secretReferences(spec: ServiceSpec): readonly { readonly name: string }[] {
  return [...spec.secrets, ...secretsOfRoutes(spec.routes).map((name) => ({ name }))];
}

function volumesOf(release: Release, task: Task): Assignment["volumes"] {
  const volumes: Record<string, Assignment["volumes"][string]> = {};
  for (const { volume, engineName, exclusive } of task.volumes) {
    const spec = release.volumes[volume];
    volumes[volume] = {
      engineName,
      exclusive,
      driverOptions: spec?.driverOptions ?? {},
      ...(spec?.driver === undefined ? {} : { driver: spec.driver }),
      ...(spec?.seedDigest === undefined ? {} : { seedDigest: spec.seedDigest }),
      ...(spec === undefined || Object.keys(spec.labels).length === 0
        ? {}
        : { labels: spec.labels }),
    };
  }
  return volumes;
}

/** What `references` name, without what the release has besides. */
function pick<From, To>(
  from: Readonly<Record<string, From>>,
  references: readonly { readonly name: string }[],
  change: (value: From) => To,
): Record<string, To> {
  const picked: Record<string, To> = {};
  for (const { name } of references) {
    const found = from[name];
    if (found !== undefined) picked[name] = change(found);
  }
  return picked;
}
