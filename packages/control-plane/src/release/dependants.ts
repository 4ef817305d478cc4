/**
 * Who is restarted with another service: those whose `depends_on` says `restart: true`, and whoever depends on
 * them in the same way.
 */

import type { Release } from "@berth/protocol";

type Services = Pick<Release, "services">;

/** The services that follow `causes`, sorted; without the causes themselves. Cost: O(services × depth). */
export function dependantsOf({ services }: Services, causes: Iterable<string>): string[] {
  const reached = new Set(causes);
  const begun = new Set(reached);
  for (let before = -1; before !== reached.size; ) {
    before = reached.size;
    for (const [name, { spec }] of Object.entries(services)) {
      const follows = Object.entries(spec.dependsOn).some(
        ([target, { restart }]) => restart === true && reached.has(target),
      );
      if (follows) reached.add(name);
    }
  }
  return [...reached].filter((name) => !begun.has(name)).sort();
}

/**
 * Services that a move from `before` to `after` leaves as they are, but that are to be restarted because what
 * they depend on is replaced.
 */
export function restartedByMove(before: Services, after: Services): string[] {
  const isReplaced = (name: string) => {
    const known = before.services[name];
    return known !== undefined && known.template !== after.services[name]?.template;
  };
  const replaced = Object.keys(after.services).filter(isReplaced);
  return dependantsOf(after, replaced).filter((name) => before.services[name] !== undefined);
}

/** The counts of restarts with one more for each of `services`. */
export function raised(
  restarts: Readonly<Record<string, number>>,
  services: readonly string[],
): Record<string, number> {
  const more = services.map((name) => [name, (restarts[name] ?? 0) + 1] as const);
  return { ...restarts, ...Object.fromEntries(more) };
}
