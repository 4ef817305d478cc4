/**
 * Who asks, and whether they may: the access rules of the table of routes as one function.
 *
 * An agent may call what belongs to its own node and the few routes named here; everything else needs an
 * administrator. The watch looks at its selectors as well (handlers/watch.ts).
 */

import { assertNever } from "@berth/base";
import { type Access, ProtocolError, type RouteId } from "@berth/protocol";

/** The holder of a token, or nobody. */
export type Actor =
  | { readonly role: "admin"; readonly name: string }
  | { readonly role: "agent"; readonly name: string; readonly node: string }
  | { readonly role: "nobody"; readonly name: string };

export const NOBODY: Actor = { role: "nobody", name: "nobody" };

/** Routes of users that agents need too. */
const AGENT_ROUTES: ReadonlySet<RouteId> = new Set(["watch", "version", "readiness"]);

/**
 * Returns when `actor` may call the route with these path parameters.
 *
 * @throws ProtocolError `unauthenticated` for nobody, `forbidden` for a token that may not.
 */
export function checkAccess(
  actor: Actor,
  route: { readonly id: RouteId; readonly access: Access },
  params: Readonly<Record<string, string>>,
): void {
  if (route.access === "public") return;
  switch (actor.role) {
    case "nobody":
      throw new ProtocolError("unauthenticated", "this needs a token");
    case "admin":
      return;
    case "agent":
      checkAgent(actor, route, params);
      return;
    default:
      assertNever(actor, "actor");
  }
}

function checkAgent(
  actor: Actor & { role: "agent" },
  route: { readonly id: RouteId; readonly access: Access },
  params: Readonly<Record<string, string>>,
): void {
  if (AGENT_ROUTES.has(route.id)) return;
  if (route.access === "node" && params["node"] === actor.node) return;
  const message =
    route.access === "node"
      ? `the token speaks for node ${actor.node}, not for ${params["node"]}`
      : `the token of an agent may not call ${route.id}`;
  throw new ProtocolError("forbidden", message, { route: route.id, node: actor.node });
}
