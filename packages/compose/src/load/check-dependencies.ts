/**
 * Dependencies between services: that they exist, and that they do not run in a circle.
 */

import { nearestWord } from "@berth/base";
import type { Check } from "./check-context.ts";
import { linkedService, sharedService } from "./normalize.ts";

/** Records missing services and circles. */
export function checkDependencies(check: Check): void {
  const { services } = check.project;
  for (const [name, service] of Object.entries(services)) {
    for (const [other, dependency] of Object.entries(service.dependsOn ?? {})) {
      if (
        Object.hasOwn(services, other) ||
        (!dependency.required && check.allServices.includes(other))
      )
        continue;
      checkMissing(check, `services.${name}`, other);
    }
  }
  checkCircles(check);
}

function checkMissing(check: Check, path: string, other: string): void {
  // What stands there and could not be read was told of.
  if (!check.allServices.includes(other) && other !== "" && check.wrote(`services.${other}`))
    return;
  const place = placeOfReference(check, path, other);
  if (check.allServices.includes(other)) {
    check.error(place, `the service ${JSON.stringify(other)} belongs to no active profile`, {
      expected: "an active profile, or required: false",
    });
    return;
  }
  check.error(place, `there is no service ${JSON.stringify(other)}`, {
    absence: true,
    suggestion: nearestWord(other, check.allServices),
  });
}

/** Dependencies follow from other keys, too: the problem is named where it was written. */
function placeOfReference(check: Check, path: string, other: string): string {
  const service = check.project.services[path.slice("services.".length)];
  if (sharedService(service?.networkMode) === other) return `${path}.network_mode`;
  if (service?.links?.some((link) => linkedService(link) === other)) return `${path}.links`;
  if (service?.volumesFrom?.some((source) => source.split(":")[0] === other))
    return `${path}.volumes_from`;
  for (const key of ["ipc", "pid", "uts", "cgroup"] as const) {
    if (sharedService(service?.[key]) === other) return `${path}.${key}`;
  }
  return `${path}.depends_on.${other}`;
}

/** Depth-first over services in their order; each circle is drawn once. No recursion: chains may be long. */
function checkCircles(check: Check): void {
  const { services } = check.project;
  const done = new Set<string>();
  for (const start of Object.keys(services)) {
    const trail: { readonly name: string; readonly next: Iterator<string> }[] = [];
    const open = new Set<string>();
    const enter = (name: string): void => {
      open.add(name);
      trail.push({ name, next: Object.keys(services[name]?.dependsOn ?? {})[Symbol.iterator]() });
    };
    if (!done.has(start)) enter(start);
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const step = top.next.next();
      if (step.done === true) {
        trail.pop();
        open.delete(top.name);
        done.add(top.name);
      } else if (open.has(step.value)) {
        const names = trail.map((each) => each.name);
        const circle = [...names.slice(names.indexOf(step.value)), step.value];
        check.error(
          placeOfReference(check, `services.${top.name}`, step.value),
          `depends on itself: ${circle.join(" → ")}`,
        );
      } else if (!done.has(step.value) && Object.hasOwn(services, step.value)) enter(step.value);
    }
  }
}
