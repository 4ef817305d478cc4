/**
 * Where routes stand: who has which host, path or port, what is in the way, how much it is asked. Made from
 * releases by the server and from HAProxy's counters by the nodes; never stored.
 */

import { Type } from "typebox";
import type { Of } from "../schema.ts";
import type { RouteSpec, TcpRouteSpec } from "./route-spec.ts";

const Count = Type.Integer({ minimum: 0 });

/** Counted since the node's data plane began; means over the last 1,024 requests. */
export const RouteTraffic = Type.Object({
  /** TCP: connections. */
  requests: Count,
  /** Answers by the first digit of their status, 1 to 5. */
  statuses: Type.Array(Count, { minItems: 5, maxItems: 5 }),
  bytesIn: Count,
  bytesOut: Count,
  /** Now. */
  sessions: Count,
  /** Milliseconds until an answer began. */
  answerMsMean: Type.Number({ minimum: 0 }),
});
export type RouteTraffic = Of<typeof RouteTraffic>;

/** A route on a node that serves it. Writer: the node, when asked. */
export const NodeRoute = Type.Object({
  stack: Type.String(),
  service: Type.String(),
  /** See `routeText`. */
  route: Type.String(),
  /** Ready copies that this node knows. */
  ready: Count,
  /** Sentences: why it is not served as wished. */
  problems: Type.Array(Type.String()),
  traffic: Type.Optional(RouteTraffic),
});
export type NodeRoute = Of<typeof NodeRoute>;

/** A route of the environment, over all nodes. */
export const RouteStanding = Type.Object({
  stack: Type.String(),
  service: Type.String(),
  route: Type.String(),
  /** What a person would type: `https://shop.example.com/api`. Absent for names with `*`, and for TCP. */
  url: Type.Optional(Type.String()),
  port: Type.Integer(),
  /** `waiting`: no node serves it yet. `degraded`: something is in the way. `empty`: no copy is ready. */
  state: Type.Union([
    Type.Literal("serving"),
    Type.Literal("empty"),
    Type.Literal("degraded"),
    Type.Literal("waiting"),
  ]),
  /** Nodes that serve it. */
  nodes: Type.Array(Type.String()),
  ready: Count,
  problems: Type.Array(Type.String()),
  traffic: Type.Optional(RouteTraffic),
});
export type RouteStanding = Of<typeof RouteStanding>;

type RouteWords = Pick<
  RouteSpec,
  "host" | "path" | "pathExact" | "pathRegex" | "methods" | "headers"
>;

/** `shop.example.com/api`, `shop.example.com/ [POST]`: a route in words, one for each of a service. */
export function routeText(route: RouteWords): string {
  const { host, path, pathExact, pathRegex, methods = [], headers = [] } = route;
  const exact = pathExact === undefined ? undefined : `${pathExact}$`;
  const conditions = [
    ...methods,
    ...headers.map(({ name, kind, value = "" }) => `${name} ${kind} ${value}`.trim()),
  ];
  const where = `${host}${exact ?? (pathRegex === undefined ? path : `~${pathRegex}`)}`;
  return conditions.length === 0 ? where : `${where} [${conditions.join(", ")}]`;
}

/** `:5432`, `db.example.com (TLS passed through)` */
export function tcpRouteText({ listen, hosts }: TcpRouteSpec): string {
  if (hosts === undefined) return `:${listen ?? ""}`;
  const port = listen === undefined ? "" : `:${listen}`;
  return `${hosts[0] ?? ""}${port} (TLS passed through)`;
}
