/**
 * What HAProxy should serve on this node: ports to bind, routes on them, and the copies behind each.
 *
 * A pure function of the model. Two wishes for the same port or the same host, path and conditions are settled
 * here (the smaller id has it; the server has refused such claims before, so this is the last resort) and
 * become problems of the losing route alone. A route without ready copies keeps its backend: requests then
 * get a clear answer instead of somebody else's page. Cost: O(n log n) in routes and endpoints.
 */

import {
  type CertificateModel,
  type HttpRouteModel,
  type IngressTarget,
  type NodeNetworkModel,
  serviceKey,
  type TcpPortModel,
} from "../model.ts";
import type { NetProblem } from "../report.ts";
import { usableCertificates } from "./certificates.ts";
import { type RouteTable, routeTable } from "./route-table.ts";
import { splitWeights } from "./split-weights.ts";

export interface IngressServer {
  /** Unique in its backend: task, address and port, so that a name never changes its meaning. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly state: "ready" | "draining";
  /** 0 to 256, relative to the others of the backend; 1 where nothing is split. */
  readonly weight: number;
}

/** A route's or port's own: its policy, its figures, its copies. */
export type IngressBackend = {
  readonly name: string;
  readonly target: IngressTarget;
  readonly servers: readonly IngressServer[];
} & (
  | { readonly mode: "http"; readonly route: HttpRouteModel }
  | { readonly mode: "tcp"; readonly port: TcpPortModel }
);

/** A port of the host. */
export type IngressBind = {
  /** `tcp:0.0.0.0:5432`: name of the frontend, from which an adopted HAProxy's ports are read back. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** All addresses of the host are meant, and IPv6 can be had: `::` as well, under the name of `any`. */
  readonly ipv6?: true;
  /** Routes that need this port: a port that is taken is a problem of each. */
  readonly routeIds: readonly string[];
} & (
  | { readonly mode: "http" | "https"; readonly table: RouteTable }
  | { readonly mode: "tcp"; readonly backend: string }
  /** TLS by server name; what no name asks for goes on to HTTPS, if that is served here. */
  | { readonly mode: "names"; readonly names: readonly NameEntry[]; readonly https?: RouteTable }
);

export interface NameEntry {
  /** `db.shop.test`, `*.shop.test`, `*`. */
  readonly host: string;
  readonly backend: string;
}

export interface IngressPlan {
  readonly binds: readonly IngressBind[];
  readonly backends: readonly IngressBackend[];
  /** The default first. */
  readonly certificates: readonly CertificateModel[];
  readonly problems: readonly NetProblem[];
  /** What concerns every request; the model's. */
  readonly model: NodeNetworkModel;
}

export const ANY_ADDRESS = "0.0.0.0";
/** In a frontend's name: all addresses of both families. */
const BOTH_FAMILIES = "any";

export interface PlanOptions {
  /** Routes and ports that HAProxy could not read, with the reason. */
  readonly broken?: ReadonlyMap<string, string>;
}

export function planIngress(model: NodeNetworkModel, options: PlanOptions = {}): IngressPlan {
  const broken = options.broken ?? new Map<string, string>();
  const problems: NetProblem[] = [];
  const routes = model.ingress.httpRoutes.filter(({ id }) => !broken.has(id));
  const ports = model.ingress.tcpPorts.filter(({ id }) => !broken.has(id));
  for (const [id, detail] of broken) problems.push({ code: "route_invalid", id, detail });
  const certificates = usableCertificates(model.certificates ?? [], problems);
  const wishes = [
    ...httpBinds(model, routes, certificates.length > 0, problems),
    ...tcpBinds(ports, problems),
  ];
  const binds = withoutClashes(joinedNames(wishes), problems);
  return {
    binds,
    backends: backendsOf(model, routes, ports, binds),
    certificates,
    problems: unique(problems),
    model,
  };
}

/** Frontend name of a bind, and back. */
export function bindName(mode: IngressBind["mode"], address: string, port: number): string {
  return `${mode}:${address}:${port}`;
}

/** The same bind with `::`. */
export function inBothFamilies(bind: IngressBind): IngressBind {
  return { ...bind, name: bindName(bind.mode, BOTH_FAMILIES, bind.port), ipv6: true };
}

export interface BoundPort {
  readonly address: string;
  readonly port: number;
  /** `::` as well. */
  readonly ipv6: boolean;
}

/** What stands in a frontend's name; `undefined` when it is no name of ours. */
export function parseBindName(name: string): BoundPort | undefined {
  const [, address, port] = /^(?:https?|tcp|names):([\d.]+|any):(\d+)$/.exec(name) ?? [];
  if (address === undefined) return undefined;
  const ipv6 = address === BOTH_FAMILIES;
  return { address: ipv6 ? ANY_ADDRESS : address, port: Number(port), ipv6 };
}

function httpBackendName({ id }: HttpRouteModel): string {
  return `http:${id}`;
}

function tcpBackendName({ id }: TcpPortModel): string {
  return `tcp:${id}`;
}

/** The route or port that a backend's name stands for. */
export function routeIdOf(backend: string): string | undefined {
  return /^(?:http|tcp):(.+)$/.exec(backend)?.[1];
}

function httpBinds(
  model: NodeNetworkModel,
  routes: readonly HttpRouteModel[],
  hasCertificates: boolean,
  problems: NetProblem[],
): IngressBind[] {
  const { bindAddress: address, httpPort, httpsPort } = model.ingress;
  const bind = (mode: "http" | "https", port: number, list: readonly HttpRouteModel[]) => {
    const table = tableOf(mode, list);
    problems.push(...table.problems);
    const routeIds = list.map(({ id }) => id).sort();
    return { name: bindName(mode, address, port), mode, address, port, routeIds, table };
  };
  const secure = routes.filter(({ tls }) => tls !== "off");
  const serves = httpsPort !== undefined && hasCertificates;
  if (!serves) {
    const reason =
      httpsPort === undefined ? "this node serves no HTTPS" : "there is no certificate at all";
    for (const { id, tls } of routes) {
      if (tls === "required") problems.push({ code: "no_https", id, detail: reason });
    }
  }
  // Whoever has a floating address is asked there whether it can serve.
  const isAsked = (model.ingress.floating ?? []).length > 0;
  const needsHttp = routes.length > 0 || model.acmeThumbprint !== undefined || isAsked;
  return [
    ...(needsHttp ? [bind("http", httpPort, routes)] : []),
    ...(serves && secure.length > 0 ? [bind("https", httpsPort, secure)] : []),
  ];
}

/** Tables of the last call, by frontend: a model comes with every copy, routes stay. */
const lastTables = new Map<string, { readonly wishes: string; readonly table: RouteTable }>();

function tableOf(mode: "http" | "https", routes: readonly HttpRouteModel[]): RouteTable {
  // Only what decides which route a request takes.
  const wishes = JSON.stringify(
    routes.map(({ id, hosts, pathPrefix, pathExact, pathRegex, methods, headers }) => [
      ...[id, hosts, pathPrefix, pathExact, pathRegex, methods, headers],
    ]),
  );
  const last = lastTables.get(mode);
  if (last?.wishes === wishes) return last.table;
  const table = routeTable(routes, httpBackendName);
  lastTables.set(mode, { wishes, table });
  return table;
}

function tcpBinds(ports: readonly TcpPortModel[], problems: NetProblem[]): IngressBind[] {
  const named = new Map<string, Extract<IngressBind, { mode: "names" }>>();
  const binds: IngressBind[] = [];
  for (const port of [...ports].sort(byId)) {
    const { hostAddress: address, hostPort, serverNames, id } = port;
    const backend = tcpBackendName(port);
    const place = { address, port: hostPort };
    if (serverNames === undefined) {
      const name = bindName("tcp", address, hostPort);
      binds.push({ name, mode: "tcp", ...place, routeIds: [id], backend });
      continue;
    }
    const name = bindName("names", address, hostPort);
    const known = named.get(name) ?? { name, mode: "names", ...place, routeIds: [], names: [] };
    const hosts = [...new Set(serverNames.map((host) => host.toLowerCase().replace(/\.$/, "")))];
    const free = hosts.filter((host) => {
      const holder = known.names.find((entry) => entry.host === host);
      if (holder === undefined) return true;
      const otherId = routeIdOf(holder.backend) ?? holder.backend;
      problems.push({ code: "route_clash", id, otherId });
      return false;
    });
    const names = [...known.names, ...free.map((host) => ({ host, backend }))];
    named.set(name, { ...known, names, routeIds: [...known.routeIds, id] });
  }
  return [...named.values(), ...binds];
}

/** TLS by name on the HTTPS port: one bind looks at the name and hands the rest on. */
function joinedNames(wishes: readonly IngressBind[]): IngressBind[] {
  const joined: IngressBind[] = [];
  for (const wish of wishes) {
    const at = joined.findIndex(
      (bind) => bind.mode === "https" && wish.mode === "names" && overlaps(bind, wish),
    );
    const https = joined[at];
    if (wish.mode !== "names" || https?.mode !== "https") joined.push(wish);
    else {
      const { address, port } = https;
      joined[at] = {
        ...wish,
        name: bindName("names", address, port),
        address,
        routeIds: [...wish.routeIds, ...https.routeIds],
        https: https.table,
      };
    }
  }
  return joined;
}

/** A port on all addresses clashes with the same port on one address, as it would in the kernel. */
function withoutClashes(wishes: readonly IngressBind[], problems: NetProblem[]): IngressBind[] {
  const binds: IngressBind[] = [];
  for (const wish of wishes) {
    const holder = binds.find((bind) => overlaps(bind, wish));
    if (holder === undefined) binds.push(wish);
    else {
      const otherId = holder.routeIds[0] ?? holder.name;
      const losers = wish.routeIds.filter((id) => id !== otherId);
      problems.push(...losers.map((id) => ({ code: "route_clash", id, otherId }) as const));
    }
  }
  return binds;
}

function overlaps(a: IngressBind, b: IngressBind): boolean {
  const anywhere = a.address === ANY_ADDRESS || b.address === ANY_ADDRESS;
  return a.port === b.port && (anywhere || a.address === b.address);
}

function backendsOf(
  model: NodeNetworkModel,
  routes: readonly HttpRouteModel[],
  ports: readonly TcpPortModel[],
  binds: readonly IngressBind[],
): IngressBackend[] {
  const used = new Set(binds.flatMap(({ routeIds }) => routeIds));
  const endpoints = endpointsByTarget(model);
  const http = routes
    .filter(({ id }) => used.has(id))
    .map((route): IngressBackend => {
      const { target, splits = [] } = route;
      const servers = route.redirect === undefined ? serversOf(target, splits, endpoints) : [];
      return { name: httpBackendName(route), mode: "http", target, servers, route };
    });
  const tcp = ports
    .filter(({ id }) => used.has(id))
    .map((port): IngressBackend => {
      const { target } = port;
      const servers = serversOf(target, [], endpoints);
      return { name: tcpBackendName(port), mode: "tcp", target, servers, port };
    });
  return [...http, ...tcp].sort((a, b) => (a.name < b.name ? -1 : 1));
}

type Endpoints = ReadonlyMap<string, readonly Omit<IngressServer, "port" | "weight">[]>;

function serversOf(
  target: IngressTarget,
  splits: NonNullable<HttpRouteModel["splits"]>,
  endpoints: Endpoints,
): IngressServer[] {
  const rest = 100 - splits.reduce((sum, { percent }) => sum + percent, 0);
  const shares = [{ target, percent: rest }, ...splits].map((share) => ({
    ...share,
    copies: endpoints.get(targetKey(share.target)) ?? [],
  }));
  const weights = splits.length === 0 ? [1] : splitWeights(shares);
  const servers = new Map<string, IngressServer>();
  for (const [
    index,
    {
      target: { port },
      copies,
    },
  ] of shares.entries()) {
    for (const copy of copies) {
      const name = `${copy.name}:${port}`;
      if (servers.has(name)) continue;
      servers.set(name, { ...copy, name, port, weight: weights[index] ?? 1 });
    }
  }
  return [...servers.values()];
}

function targetKey(target: Omit<IngressTarget, "port">): string {
  return `${serviceKey(target)}@${target.networkId}`;
}

function endpointsByTarget(model: NodeNetworkModel): Endpoints {
  const result = new Map<string, Omit<IngressServer, "port" | "weight">[]>();
  for (const endpoint of model.endpoints) {
    const key = targetKey(endpoint);
    const list = result.get(key) ?? [];
    result.set(key, list);
    const { address, state, taskId } = endpoint;
    list.push({ name: `${taskId}:${address}`, address, state });
  }
  for (const list of result.values()) list.sort((a, b) => (a.name < b.name ? -1 : 1));
  return result;
}

/** The same is wrong on both ports of HTTP. */
function unique(problems: readonly NetProblem[]): NetProblem[] {
  const texts = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...texts.values()];
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}
