/** Routes about who answers requests from outside: part of the one table in routes.ts. */

import { FloatingAddress, FloatingWish, IngressStanding } from "../resources/ingress.ts";
import type { RouteDescription } from "./route.ts";

export const ingressRoutes = {
  getIngress: {
    method: "GET",
    path: "/v1/ingress",
    summary: "Nodes that answer requests from outside, and floating addresses.",
    access: "user",
    answer: { kind: "json", schema: IngressStanding },
    errors: [],
  },
  putFloatingAddress: {
    method: "POST",
    path: "/v1/ingress/addresses",
    summary: "An address that one of the nodes for requests from outside has at a time.",
    access: "admin",
    body: FloatingWish,
    answer: { kind: "json", schema: FloatingAddress },
    errors: ["invalid_request", "conflict", "limit_exceeded"],
  },
  removeFloatingAddress: {
    method: "DELETE",
    path: "/v1/ingress/addresses/{address}",
    summary: "No node has the address any more.",
    access: "admin",
    answer: { kind: "json", schema: FloatingAddress },
    errors: ["not_found"],
  },
} as const satisfies Readonly<Record<string, RouteDescription>>;
