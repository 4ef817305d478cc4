/**
 * From a route and its parameters to the target of a request line, `/v1/nodes/node-1?limit=10`.
 *
 * Parameters are percent-encoded, so that a value can never change which route is meant; an empty one is
 * refused because its path would be another route's.
 */

import type { RouteDescription } from "../api/route.ts";
import { ProtocolError } from "../errors.ts";

/** Path and query of a call of `route`. */
export function requestTarget(
  route: RouteDescription,
  params: Readonly<Record<string, string>>,
  query: Readonly<Record<string, unknown>> = {},
): string {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    // "." and ".." would be taken away by whoever normalises the path on the way.
    if (value === undefined || value === "" || value === "." || value === "..") {
      throw new ProtocolError("invalid_request", `${name} is missing or empty`, {
        parameter: name,
      });
    }
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.append(name, String(value));
  }
  return search.size === 0 ? path : `${path}?${search.toString()}`;
}
