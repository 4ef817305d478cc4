/**
 * `depends_on`: what a service waits for before its copies start during a rollout.
 *
 * Only copies of the target count, so a job of a new template must complete again before those that depend
 * on it move on. Outside of rollouts nothing is held back: a copy that is replaced after its node was lost
 * must not wait for a dependency that is down for its own reasons.
 */

import { assertNever } from "@berth/base";
import type { DependencySpec, ServiceSpec, Wait } from "@berth/protocol";
import { sortIntoPlaces } from "./place-tasks.ts";
import type { ServiceInput } from "./service-input.ts";
import { isCompletion, isSpent, readySince } from "./task-class.ts";

/** How far the copies of a service are, in numbers. */
export interface ServiceFacts {
  readonly wanted: number;
  readonly started: number;
  readonly ready: number;
  readonly completed: number;
  /** Copies that ended and will not be started again. */
  readonly failed: number;
}

/** Counts places by what their copies of the target have reached. */
export function factsOf(input: ServiceInput): ServiceFacts {
  const counts = { wanted: input.places.length, started: 0, ready: 0, completed: 0, failed: 0 };
  const spec = input.target?.spec;
  if (spec === undefined) return counts;
  for (const { current, endedOfTarget } of sortIntoPlaces(input).places) {
    const ends = endedOfTarget.flatMap(({ status }) => status ?? []);
    if (ends.some((status) => isCompletion(status, spec))) counts.completed++;
    else if (current.length === 0 && endedOfTarget.some((each) => isSpent(each, input))) {
      counts.failed++;
    }
    if (current.some(({ status }) => status?.startedAt !== undefined)) counts.started++;
    if (current.some(({ status }) => readySince(status) !== undefined)) counts.ready++;
  }
  return counts;
}

/** What `spec` still waits for; empty when it may start. */
export function dependencyWaits(
  service: string,
  spec: Pick<ServiceSpec, "dependsOn">,
  facts: ReadonlyMap<string, ServiceFacts>,
): Wait[] {
  return Object.entries(spec.dependsOn).flatMap(([name, dependency]) => {
    const fact = facts.get(name);
    // A missing one is no error when it is not required, and was refused at the deploy when it is.
    if (fact === undefined || holds(dependency, fact)) return [];
    if (!dependency.required && fact.failed > 0) return [];
    const message = `${service} waits for ${name}: ${describe(dependency, fact)}`;
    return [{ kind: "dependency", message }];
  });
}

function holds({ condition }: DependencySpec, fact: ServiceFacts): boolean {
  switch (condition) {
    case "started":
      return fact.started + fact.completed >= fact.wanted;
    case "healthy":
      return fact.ready >= fact.wanted;
    case "completed":
      return fact.completed >= fact.wanted;
    default:
      return assertNever(condition, "dependency condition");
  }
}

function describe({ condition }: DependencySpec, fact: ServiceFacts): string {
  const failed = fact.failed === 0 ? "" : `, ${fact.failed} failed`;
  switch (condition) {
    case "started":
      return `${fact.started + fact.completed} of ${fact.wanted} started${failed}`;
    case "healthy":
      return `${fact.ready} of ${fact.wanted} ready${failed}`;
    case "completed":
      return `${fact.completed} of ${fact.wanted} completed${failed}`;
    default:
      return assertNever(condition, "dependency condition");
  }
}
