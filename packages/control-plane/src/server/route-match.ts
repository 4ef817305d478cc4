/**
 * Which route a path is, whatever the method: for upgrades, which pass by the HTTP framework, and for
 * telling an unknown path from a wrong method. Cost: O(routes), never on the way of ordinary calls.
 */

import { type RouteDescription, type RouteId, routes } from "@berth/protocol";

export interface RouteMatch {
  readonly id: RouteId;
  readonly method: RouteDescription["method"];
  readonly params: Readonly<Record<string, string>>;
}

const patterns = Object.entries<RouteDescription>(routes).map(([id, { method, path }]) => ({
  id: id as RouteId,
  method,
  expression: new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`),
}));

/** Every route of `path`, which is a request's path without its query; one for each method. */
export function matchRoutes(path: string): RouteMatch[] {
  const found: RouteMatch[] = [];
  for (const { id, method, expression } of patterns) {
    const match = expression.exec(path);
    if (match === null) continue;
    const params = decoded(match.groups ?? {});
    if (params !== undefined) found.push({ id, method, params });
  }
  return found;
}

/** `undefined` when a parameter is not well encoded: such a path is nobody's. */
function decoded(groups: Readonly<Record<string, string>>): Record<string, string> | undefined {
  try {
    return Object.fromEntries(
      Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]),
    );
  } catch {
    return undefined;
  }
}
