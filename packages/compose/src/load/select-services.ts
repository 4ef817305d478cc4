/**
 * Some services of a project and everything that they depend on.
 */

import { nearestWord } from "@berth/base";
import type { ComposeProject } from "../model/project-model.ts";
import type { Problems } from "../problem.ts";
import type { TreeSourceMap } from "./source-map.ts";

/** `project` with the services `named` and their dependencies, all of it when none is named. */
export function selectServices(
  project: ComposeProject,
  named: readonly string[],
  all: readonly string[],
  { sources, problems }: { readonly sources: TreeSourceMap; readonly problems: Problems },
): ComposeProject {
  if (named.length === 0) return project;
  const chosen = new Set<string>();
  const waiting = [...named];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const service = Object.hasOwn(project.services, name) ? project.services[name] : undefined;
    if (service === undefined) {
      // A dependency that is missing was told with its place already, or need not be there.
      if (named.includes(name)) {
        sources.error(problems, "services", `there is no service ${JSON.stringify(name)}`, {
          absence: true,
          expected: `one of ${all.join(", ")}`,
          suggestion: nearestWord(name, all),
        });
      }
      continue;
    }
    if (chosen.has(name)) continue;
    chosen.add(name);
    waiting.push(...Object.keys(service.dependsOn ?? {}));
  }
  const services = Object.entries(project.services).filter(([name]) => chosen.has(name));
  return { ...project, services: Object.fromEntries(services) };
}
