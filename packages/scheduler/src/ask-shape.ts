/**
 * What of an ask the node alone answers: its shape. Asks of many services share one, so what is known of the nodes
 * is known for all of them.
 *
 * Two asks are of one *class* when all is equal but identity, copy and gang. What a class has beyond its
 * shape (its service, spread, neighbours, volumes, its last node) is asked of few nodes, by `turns.ts`.
 */

import type { Ask } from "./model.ts";
import { sameValue } from "./same-value.ts";
import { prefersServices } from "./scores/affinity.ts";

/** An ask of nobody's service with the shape of `ask`. */
export function shapeOf(ask: Ask): Ask {
  const { requests, ports, addresses, constraints, images, tolerations, platforms } = ask;
  const { strategy, weights, overcommit } = ask;
  // The preferences of one ask are limited as a whole, so those for nodes cannot be told apart from the others.
  const affinities = prefersServices(ask)
    ? []
    : (ask.affinities ?? []).filter((each) => each.kind === "node");
  const stated = { ports, addresses, constraints, images, tolerations, platforms, strategy };
  const shape = Object.entries({ ...stated, affinities, weights, overcommit }).filter(
    ([, value]) => {
      return value !== undefined && (!Array.isArray(value) || value.length > 0);
    },
  );
  return { id: "", service: "", requests, ...Object.fromEntries(shape) };
}

/** A text that is equal for asks of one class. */
export function classKey(ask: Ask): string {
  const { id, slot, gang, priority, ...rest } = ask;
  return JSON.stringify(rest);
}

/** Are the two of one class? Decided field by field, without writing them down. */
export function sameClass(a: Ask, b: Ask): boolean {
  return (
    a.service === b.service &&
    CLASS_FIELDS.every((field) => a[field] === b[field] || sameValue(a[field], b[field]))
  );
}

/** All fields of an ask but those that `classKey` leaves out. The compiler refuses a list with one missing. */
const CLASS_FIELDS = Object.keys({
  service: true,
  requests: true,
  ports: true,
  volumes: true,
  addresses: true,
  antiAffinities: true,
  pod: true,
  constraints: true,
  affinities: true,
  spread: true,
  maxPerNode: true,
  pinnedNode: true,
  images: true,
  tolerations: true,
  platforms: true,
  previousNode: true,
  failedNodes: true,
  strategy: true,
  weights: true,
  overcommit: true,
  limits: true,
  measured: true,
} satisfies Record<Exclude<keyof Ask, "id" | "slot" | "gang" | "priority">, true>) as (keyof Ask)[];
