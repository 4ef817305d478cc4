/**
 * Who asks, and whether they may: the access rules of the table of routes as one function.
 *
 * An agent may call what belongs to its own node and the few routes named here; everything else needs an
 * administrator. The watch looks at its selectors as well (handlers/watch.ts).
 */

import { assertNever } from "@berth/base";
import { type Access, ProtocolError, type RouteId } from "@berth/protocol";

/** The holder of a token or certificate, or nobody. */
export type Actor =
  | { readonly role: "admin"; readonly name: string }
  | {
      readonly role: "agent";
      readonly name: string;
      readonly node: string;
      /** Its certificate has: it may get a new one and nothing else. */
      readonly expired?: true;
    }
  /** A host that may join. */
  | { readonly role: "joiner"; readonly name: string; readonly tokenHash: string }
  /** Another server of the cluster. */
  | { readonly role: "server"; readonly name: string }
  | { readonly role: "nobody"; readonly name: string };

export const NOBODY: Actor = { role: "nobody", name: "nobody" };

/** Routes of users that agents need too. */
const AGENT_ROUTES: ReadonlySet<RouteId> = new Set([
  "watch",
  "version",
  "readiness",
  "listServers",
]);
/** Routes of users that agents may call for their own node. */
const OWN_NODE_ROUTES: ReadonlySet<RouteId> = new Set(["getNode"]);

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
      if (route.access !== "server") return;
      throw new ProtocolError("forbidden", `only servers of the cluster call ${route.id}`);
    case "server":
      if (route.access === "server") return;
      throw new ProtocolError("forbidden", `a server may not call ${route.id}`);
    case "agent":
      checkAgent(actor, route, params);
      return;
    case "joiner":
      if (route.access === "join") return;
      throw new ProtocolError("forbidden", `a token for joining may not call ${route.id}`);
    default:
      assertNever(actor, "actor");
  }
}

function checkAgent(
  actor: Actor & { role: "agent" },
  route: { readonly id: RouteId; readonly access: Access },
  params: Readonly<Record<string, string>>,
): void {
  if (actor.expired && route.id !== "renewNodeCertificate") {
    const message = `the certificate of node ${actor.node} has expired: it has to be renewed first`;
    throw new ProtocolError("certificate_expired", message, { node: actor.node });
  }
  if (AGENT_ROUTES.has(route.id)) return;
  const isOwn = params["node"] === actor.node;
  if (isOwn && (route.access === "node" || OWN_NODE_ROUTES.has(route.id))) return;
  const message =
    route.access === "node"
      ? `the agent speaks for node ${actor.node}, not for ${params["node"]}`
      : `an agent may not call ${route.id}`;
  throw new ProtocolError("forbidden", message, { route: route.id, node: actor.node });
}
