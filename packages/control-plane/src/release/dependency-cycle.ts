/** Finds a circle among services that wait for each other, and draws it as a path. */

import type { ServiceSpec } from "@berth/protocol";

/** Services that must run before `spec`: its dependencies and the holder of its pod. */
function prerequisites(spec: ServiceSpec): string[] {
  const holder = spec.podWith === undefined ? [] : [spec.podWith];
  return [...Object.keys(spec.dependsOn), ...holder];
}

/** `["web", "api", "web"]`, or `undefined` when there is none. Cost: O(services + edges). */
export function findCycle(
  services: Readonly<Record<string, ServiceSpec>>,
): readonly string[] | undefined {
  const done = new Set<string>();
  for (const root of Object.keys(services).sort()) {
    const cycle = cycleFrom(root, services, done);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** Depth-first with an explicit stack: 2,000 services in a row would overflow the call stack. */
function cycleFrom(
  root: string,
  services: Readonly<Record<string, ServiceSpec>>,
  done: Set<string>,
): readonly string[] | undefined {
  const path: string[] = [];
  const onPath = new Set<string>();
  const open: { readonly name: string; readonly enter: boolean }[] = [{ name: root, enter: true }];
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    const { name, enter } = step;
    if (!enter) {
      path.pop();
      onPath.delete(name);
      done.add(name);
      continue;
    }
    if (onPath.has(name)) return [...path.slice(path.indexOf(name)), name];
    const spec = services[name];
    if (done.has(name) || spec === undefined) continue;
    path.push(name);
    onPath.add(name);
    open.push({ name, enter: false });
    for (const next of prerequisites(spec)) open.push({ name: next, enter: true });
  }
  return undefined;
}
