/**
 * Which certificate a route is served with, and what routes there are with TLS. Pure.
 *
 * Order: the environment's own for exactly this host, the cluster's, one with a fitting wildcard of the
 * environment, of the cluster; then the automatic one of the route. So a route never gets another host's
 * certificate while there is one of its own. O(routes × certificates that people brought).
 */

import {
  type Certificate,
  CLUSTER_SCOPE,
  type EnvironmentScope,
  keys,
  type RouteSpec,
  routeHosts,
  type ServiceScope,
  type Stack,
} from "@berth/protocol";
import { liveReleaseNumbers } from "../release/claims.ts";
import { automaticTerm, type ClusterView, environmentOf } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { coverage, plainHost } from "./host-names.ts";

/** Project and environment of what belongs to the whole cluster. */
export const CLUSTER: EnvironmentScope = { project: CLUSTER_SCOPE, environment: CLUSTER_SCOPE };

/** The certificate of this name, cluster-wide, is for clients that name no host of ours. */
export const DEFAULT_NAME = "default";

/** A route whose requests come over TLS that ends at the ingress. */
export interface TlsRoute extends EnvironmentScope {
  readonly stack: string;
  readonly service: string;
  /** Plain form. */
  readonly host: string;
  readonly path: string;
}

/** Whether TLS ends at the ingress for this route. */
function wantsTls(route: RouteSpec): boolean {
  return route.tls === "both" || route.tls === "required";
}

/** `default/main/shop/web shop.example.com/api` */
export function routeText({ project, environment, stack, service, host, path }: TlsRoute): string {
  return `${project}/${environment}/${stack}/${service} ${host}${path}`;
}

/** Every route with TLS of every release that a stack may go to by itself; each once. */
export function tlsRoutes(view: ClusterView): TlsRoute[] {
  const routes = view.stacks.all().flatMap(({ value }) => tlsRoutesOfStack(view, value));
  return [...new Map(routes.map((route) => [routeText(route), route])).values()];
}

function tlsRoutesOfStack(view: ClusterView, stack: Stack): TlsRoute[] {
  const { project, environment } = stack;
  return liveReleaseNumbers(stack).flatMap((number) => {
    const release = view.releases.get(keys.release(stack, number))?.value;
    return Object.entries(release?.services ?? {}).flatMap(([service, { spec }]) =>
      tlsRoutesOf({ project, environment, stack: stack.stack, service }, spec.routes),
    );
  });
}

/** Routes with TLS of one service, one for each of their hosts. */
export function tlsRoutesOf(
  { project, environment, stack, service }: ServiceScope,
  routes: readonly RouteSpec[],
): TlsRoute[] {
  return routes.filter(wantsTls).flatMap((route) =>
    routeHosts(route).map((host) => ({
      project,
      environment,
      stack,
      service,
      host: plainHost(host),
      path: route.path,
    })),
  );
}

/** Names that a certificate is good for: of what it is, or of what it will be. */
export function hostsOf({ current, hosts }: Certificate): readonly string[] {
  return current?.hosts ?? hosts;
}

/** The certificate that a person brought or ordered for `host`; `undefined` when there is none. */
export function ownCertificate(
  view: ClusterView,
  scope: EnvironmentScope,
  host: string,
): Entity<Certificate> | undefined {
  const candidates = [scope, CLUSTER].flatMap((each) =>
    view.certificates.by("own", environmentOf(each)),
  );
  const fitting = (how: "exact" | "wildcard") =>
    candidates.find(({ value }) => coverage(hostsOf(value), host) === how);
  return fitting("exact") ?? fitting("wildcard");
}

/** The certificate that `host` is served with in this environment. */
export function chosenCertificate(
  view: ClusterView,
  scope: EnvironmentScope,
  host: string,
): Entity<Certificate> | undefined {
  const own = ownCertificate(view, scope, host);
  if (own !== undefined) return own;
  return view.certificates.by("automatic", automaticTerm(scope, host))[0];
}

/** Every certificate's routes, by its key. */
export function usersOfAll(view: ClusterView): ReadonlyMap<string, readonly TlsRoute[]> {
  const users = new Map<string, TlsRoute[]>();
  for (const route of tlsRoutes(view)) {
    const key = chosenCertificate(view, route, route.host)?.key;
    if (key === undefined) continue;
    const known = users.get(key);
    if (known === undefined) users.set(key, [route]);
    else known.push(route);
  }
  return users;
}
