/**
 * What HAProxy should serve on this node: ports to bind, routes on them, and the copies behind each.
 *
 * A pure function of the model. Two wishes for the same port or the same host and path are settled here
 * (the smaller id has it; the server has refused such claims before, so this is the last resort) and
 * become problems of the losing route alone. A target without ready copies keeps its backend: requests
 * then get a clear answer instead of somebody else's page. Cost: O(n log n) in routes and endpoints.
 */

import {
  type HttpRouteModel,
  type IngressTarget,
  type NodeNetworkModel,
  serviceKey,
} from "../model.ts";
import type { NetProblem } from "../report.ts";

export type IngressMode = "http" | "tcp";

export interface IngressServer {
  /** Unique in its backend: task and address, so that a name never changes its meaning. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly state: "ready" | "draining";
}

export interface IngressBackend {
  readonly name: string;
  readonly mode: IngressMode;
  readonly target: IngressTarget;
  readonly servers: readonly IngressServer[];
}

/** One rule on the HTTP port; the list is in order of precedence. */
export interface HttpRule {
  readonly routeId: string;
  readonly host: string;
  /** Without a slash at the end: "" for all paths. */
  readonly path: string;
  readonly backend: string;
}

export interface IngressBind {
  /** `tcp:0.0.0.0:5432`: name of the frontend, from which an adopted HAProxy's ports are read back. */
  readonly name: string;
  readonly mode: IngressMode;
  readonly address: string;
  readonly port: number;
  /** Routes that need this port: a port that is taken is a problem of each. */
  readonly routeIds: readonly string[];
  /** Where a TCP port leads; HTTP has rules instead. */
  readonly backend?: string;
  readonly rules: readonly HttpRule[];
}

export interface IngressPlan {
  readonly binds: readonly IngressBind[];
  readonly backends: readonly IngressBackend[];
  readonly problems: readonly NetProblem[];
}

const ANY_ADDRESS = "0.0.0.0";

export function planIngress(model: NodeNetworkModel): IngressPlan {
  const problems: NetProblem[] = [];
  const targets = new Map<string, { mode: IngressMode; target: IngressTarget }>();
  const backendFor = (mode: IngressMode, target: IngressTarget): string => {
    const name = backendName(mode, target);
    targets.set(name, { mode, target });
    return name;
  };
  const rules = planRules(model, backendFor, problems);
  const wishes = [...httpBind(model, rules), ...tcpBinds(model, backendFor)];
  const binds = withoutClashes(wishes, problems);
  const servers = serversByTarget(model);
  const used = new Set(
    binds.flatMap((bind) => [bind.backend, ...bind.rules.map((r) => r.backend)]),
  );
  const backends = [...targets]
    .filter(([name]) => used.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { mode, target }]) => ({
      name,
      mode,
      target,
      servers: (servers.get(targetKey(target)) ?? []).map((server) => ({
        ...server,
        port: target.port,
      })),
    }));
  return { binds, backends, problems };
}

/** Frontend name of a bind, and back. */
export function bindName(mode: IngressMode, address: string, port: number): string {
  return `${mode}:${address}:${port}`;
}

/** The address and port in a frontend's name; `undefined` when it is no name of ours. */
export function parseBindName(name: string): { address: string; port: number } | undefined {
  const [, address, port] = /^(?:http|tcp):([\d.]+):(\d+)$/.exec(name) ?? [];
  return address === undefined ? undefined : { address, port: Number(port) };
}

function backendName(mode: IngressMode, target: IngressTarget): string {
  const { project, environment, stack, service, port, networkId } = target;
  return [mode, project, environment, stack, service, port, networkId].join(":");
}

function targetKey(target: Omit<IngressTarget, "port">): string {
  return `${serviceKey(target)}@${target.networkId}`;
}

function serversByTarget(
  model: NodeNetworkModel,
): ReadonlyMap<string, readonly Omit<IngressServer, "port">[]> {
  const result = new Map<string, Omit<IngressServer, "port">[]>();
  for (const endpoint of model.endpoints) {
    const key = targetKey(endpoint);
    const list = result.get(key) ?? [];
    result.set(key, list);
    const { address, state, taskId } = endpoint;
    list.push({ name: `${taskId}-${address}`, address, state });
  }
  for (const list of result.values()) list.sort((a, b) => (a.name < b.name ? -1 : 1));
  return result;
}

function planRules(
  model: NodeNetworkModel,
  backendFor: (mode: IngressMode, target: IngressTarget) => string,
  problems: NetProblem[],
): readonly HttpRule[] {
  const holders = new Map<string, string>();
  const rules: HttpRule[] = [];
  for (const route of [...model.ingress.httpRoutes].sort(byId)) {
    for (const rule of rulesOf(route, backendFor("http", route.target))) {
      const holder = holders.get(`${rule.host}${rule.path}`);
      if (holder === undefined) {
        holders.set(`${rule.host}${rule.path}`, route.id);
        rules.push(rule);
      } else if (holder !== route.id) {
        problems.push({ code: "route_clash", id: route.id, otherId: holder });
      }
    }
  }
  return rules.sort(byPrecedence);
}

function rulesOf(route: HttpRouteModel, backend: string): HttpRule[] {
  const path = route.pathPrefix.replace(/\/+$/, "");
  const hosts = route.hosts.map((host) => host.toLowerCase().replace(/\.$/, ""));
  return hosts.map((host) => ({ routeId: route.id, host, path, backend }));
}

/** Exact hosts before wildcards, wildcards with more labels first, then longer paths. */
function byPrecedence(a: HttpRule, b: HttpRule): number {
  return (
    hostRank(b.host) - hostRank(a.host) ||
    (a.host < b.host ? -1 : a.host > b.host ? 1 : b.path.length - a.path.length) ||
    (a.path < b.path ? -1 : 1)
  );
}

function hostRank(host: string): number {
  if (host === "*") return -1;
  return host.startsWith("*.") ? host.length : 1_000;
}

function httpBind(model: NodeNetworkModel, rules: readonly HttpRule[]): IngressBind[] {
  if (rules.length === 0) return [];
  const { bindAddress: address, httpPort: port } = model.ingress;
  const routeIds = [...new Set(rules.map((rule) => rule.routeId))].sort();
  return [{ name: bindName("http", address, port), mode: "http", address, port, routeIds, rules }];
}

function tcpBinds(
  model: NodeNetworkModel,
  backendFor: (mode: IngressMode, target: IngressTarget) => string,
): IngressBind[] {
  return [...model.ingress.tcpPorts].sort(byId).map((item) => ({
    name: bindName("tcp", item.hostAddress, item.hostPort),
    mode: "tcp" as const,
    address: item.hostAddress,
    port: item.hostPort,
    routeIds: [item.id],
    backend: backendFor("tcp", item.target),
    rules: [],
  }));
}

/** A port on all addresses clashes with the same port on one address, as it would in the kernel. */
function withoutClashes(wishes: readonly IngressBind[], problems: NetProblem[]): IngressBind[] {
  const binds: IngressBind[] = [];
  for (const wish of wishes) {
    const holder = binds.find((bind) => overlaps(bind, wish));
    if (holder === undefined) binds.push(wish);
    // The same wish twice (`8080:80` and `8080:80/tcp` in one file) is no clash.
    else if (holder.name !== wish.name || holder.backend !== wish.backend) {
      const otherId = holder.routeIds[0] ?? holder.name;
      problems.push(...wish.routeIds.map((id) => ({ code: "route_clash", id, otherId }) as const));
    }
  }
  return binds;
}

function overlaps(a: IngressBind, b: IngressBind): boolean {
  const anywhere = a.address === ANY_ADDRESS || b.address === ANY_ADDRESS;
  return a.port === b.port && (anywhere || a.address === b.address);
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}
