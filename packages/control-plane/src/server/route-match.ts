/**
 * Which route a request is for: the table of routes as a tree of path segments for each method.
 *
 * A segment that is written out in the table comes before a parameter at the same place. Cost: O(segments).
 */

import { type RouteDescription, type RouteId, routes } from "@berth/protocol";

/** The longest parameter is a digest of 71 characters; names have at most 80. A longer one is nobody's. */
const PARAMETER_CHARS_MAX = 256;

export interface RouteMatch {
  readonly id: RouteId;
  readonly method: RouteDescription["method"];
  readonly params: Readonly<Record<string, string>>;
}

/** What may follow a path. */
interface Place {
  readonly literals: Map<string, Place>;
  parameter: Place | undefined;
  /** The route that ends here, with the names of its parameters in order. */
  route: { readonly id: RouteId; readonly names: readonly string[] } | undefined;
}

function newPlace(): Place {
  return { literals: new Map(), parameter: undefined, route: undefined };
}

const roots = new Map<string, Place>();
for (const [id, { method, path }] of Object.entries<RouteDescription>(routes)) {
  let place = roots.get(method) ?? newPlace();
  roots.set(method, place);
  const names: string[] = [];
  for (const segment of path.split("/").slice(1)) {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined) {
      const next = place.literals.get(segment) ?? newPlace();
      place.literals.set(segment, next);
      place = next;
    } else {
      names.push(name);
      place.parameter ??= newPlace();
      place = place.parameter;
    }
  }
  place.route = { id: id as RouteId, names };
}

/** The route of a request: its method, and its path without its query. */
export function matchRoute(method: string, path: string): RouteMatch | undefined {
  const root = roots.get(method);
  const segments = root && segmentsOf(path);
  const values: string[] = [];
  const found = root && segments && follow(root, segments, 0, values);
  if (found?.route === undefined) return undefined;
  const { id, names } = found.route;
  const params: Record<string, string> = {};
  for (const [index, name] of names.entries()) params[name] = values[index] ?? "";
  return { id, method: method as RouteDescription["method"], params };
}

/** Every route of `path`, one for each method: tells an unknown path from a wrong method. */
export function matchRoutes(path: string): RouteMatch[] {
  return [...roots.keys()].flatMap((method) => matchRoute(method, path) ?? []);
}

/** Decoded; `undefined` for what is no path of ours, or not well encoded: such a path is nobody's. */
function segmentsOf(path: string): string[] | undefined {
  if (!path.startsWith("/")) return undefined;
  const segments = path.slice(1).split("/");
  if (!path.includes("%")) return segments;
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** The place where `segments` from `index` on end; the values of parameters on the way are added to `values`. */
function follow(
  place: Place,
  segments: readonly string[],
  index: number,
  values: string[],
): Place | undefined {
  const segment = segments[index];
  if (segment === undefined) return place.route === undefined ? undefined : place;
  const literal = place.literals.get(segment);
  const found = literal && follow(literal, segments, index + 1, values);
  if (found !== undefined) return found;
  if (place.parameter === undefined || segment === "" || segment.length > PARAMETER_CHARS_MAX) {
    return undefined;
  }
  values.push(segment);
  const after = follow(place.parameter, segments, index + 1, values);
  if (after === undefined) values.pop();
  return after;
}
