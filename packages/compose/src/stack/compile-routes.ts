/**
 * Routes of a service: entries of `x-berth.routes` become HTTP routes and TCP routes, and what does not make
 * sense together is told at its place in the file.
 */

import type {
  HeaderChange,
  HeaderMatch,
  PathRewrite,
  Redirect,
  RouteSpec,
  ServiceSpec,
  TcpRouteSpec,
} from "@berth/protocol";
import { routeProblems, tcpRouteProblems } from "@berth/protocol/route-rules";
import type {
  HeaderChanges,
  HeaderWish,
  RedirectWish,
  RewriteWish,
  Route,
} from "../model/route-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ProblemList } from "./compile-problem.ts";
import { presentFields } from "./present-fields.ts";

/** A year: what browsers' lists of HTTPS hosts ask for. */
const HSTS_MAX_AGE_MS = 365 * 86_400_000;
const RATE_PERIOD_MS = 1_000;
const STICKY_COOKIE = "BERTH";
const REDIRECT_CODE = 308;
const REDIRECT_CODES = [301, 302, 303, 307, 308] as const;

/** Says what is wrong with a key of the entry that is being compiled. */
type Tell = (key: string, message: string) => void;

export function compileRoutes(
  name: string,
  service: ComposeService,
  problems: ProblemList,
): Pick<ServiceSpec, "routes" | "tcpRoutes"> {
  const routes: RouteSpec[] = [];
  const tcpRoutes: TcpRouteSpec[] = [];
  for (const [index, route] of (service.xBerth?.routes ?? []).entries()) {
    const place = ["services", name, "x-berth", "routes", index] as const;
    const tell: Tell = (key, message) => problems.error([...place, ...keyPath(key)], message);
    const port = portOf(route, service, tell);
    if (port === undefined) continue;
    warnOfPort(route, service, (message) => problems.warn([...place, "port"], message));
    if (route.tcp !== undefined || route.tls === "passthrough") {
      tcpRoutes.push(tcpRoute(route, port, tell));
    } else {
      const compiled = httpRoute(route, port, tell);
      if (compiled !== undefined) routes.push(compiled);
    }
  }
  return { routes, ...(tcpRoutes.length === 0 ? {} : { tcpRoutes }) };
}

/** `errors.503`, `allow[1]` as keys of the file. */
function keyPath(key: string): (string | number)[] {
  return key
    .split(/[.[\]]/)
    .filter((part) => part !== "")
    .map((part) => (/^\d+$/.test(part) && key.includes(`[${part}]`) ? Number(part) : part));
}

/** TCP ports that the service states. */
function statedPorts(service: ComposeService): number[] {
  const published = (service.ports ?? [])
    .filter(({ protocol = "tcp" }) => protocol === "tcp")
    .map(({ target }) => target);
  const exposed = (service.expose ?? []).flatMap((text) => {
    const [number = "", protocol = "tcp"] = text.split("/");
    return protocol === "tcp" && /^\d+$/.test(number) ? [Number(number)] : [];
  });
  return [...new Set([...published, ...exposed])];
}

function portOf(route: Route, service: ComposeService, tell: Tell): number | undefined {
  if (route.port !== undefined) return route.port;
  const stated = statedPorts(service);
  const [only] = stated;
  if (stated.length === 1 && only !== undefined) return only;
  // No copy is asked, so that none needs to listen.
  if (route.redirect !== undefined) return only ?? 80;
  tell(
    "",
    stated.length === 0
      ? "the port is missing, and the service states none by expose or ports"
      : `the port is missing: one of ${stated.join(", ")}`,
  );
  return undefined;
}

/** A port that is none of those stated is most often a mistake, but need not be one. */
function warnOfPort(route: Route, service: ComposeService, warn: (message: string) => void): void {
  const stated = statedPorts(service);
  if (route.port === undefined || stated.length === 0 || stated.includes(route.port)) return;
  // A range among the exposed ports is not looked into.
  if ((service.expose ?? []).some((text) => text.includes("-"))) return;
  warn(`${route.port} is none of the ports that the service states (${stated.join(", ")})`);
}

/** Keys that mean something for connections; the others are for requests. */
const TCP_KEYS: ReadonlySet<string> = new Set([
  "tcp",
  "hosts",
  "port",
  "tls",
  "allow",
  "deny",
  "sticky",
  "timeouts",
  "connectionsMax",
  "proxyProtocol",
]);

function tcpRoute(route: Route, port: number, tell: Tell): TcpRouteSpec {
  for (const key of Object.keys(route).filter((each) => !TCP_KEYS.has(each))) {
    const written = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    tell(written, "needs requests to look into: not with tcp or tls: passthrough");
  }
  if (route.tls !== undefined && route.tls !== "passthrough") {
    tell("tls", "with tcp, TLS is passed through to the copies: passthrough, or leave it out");
  }
  if (route.hosts !== undefined && route.tls !== "passthrough") {
    tell("host", "connections have no host, unless tls: passthrough tells it");
  }
  if (route.tls === "passthrough" && route.hosts === undefined) {
    tell("tls", "the host is missing: it tells whose TLS it is");
  }
  if (route.sticky?.by === "cookie") tell("sticky", "connections have no cookies: source");
  const compiled = presentFields<TcpRouteSpec>({
    listen: route.tcp,
    hosts: route.hosts === undefined ? undefined : [...route.hosts],
    port,
    proxyProtocol: route.proxyProtocol,
    allow: route.allow && [...route.allow],
    deny: route.deny && [...route.deny],
    sticky: route.sticky === undefined ? undefined : true,
    connectionsMax: route.connectionsMax,
    idleMs: route.timeouts?.idleMs,
  });
  for (const { key, message } of tcpRouteProblems(compiled)) tell(key, message);
  return compiled;
}

function httpRoute(route: Route, port: number, tell: Tell): RouteSpec | undefined {
  const [host, ...moreHosts] = route.hosts ?? [];
  if (host === undefined) {
    tell("", "the key host is missing");
    return undefined;
  }
  const { timeouts = {} } = route;
  if (timeouts.idleMs !== undefined) tell("timeouts.idle", "is for connections: with tcp alone");
  const compiled = presentFields<RouteSpec>({
    host,
    moreHosts: moreHosts.length === 0 ? undefined : moreHosts,
    path: route.path ?? "/",
    pathExact: route.pathExact,
    pathRegex: route.pathRegex,
    port,
    methods: route.methods?.map((method) => method.toUpperCase()),
    headers: route.headers && headersOf(route.headers, tell),
    tls: route.tls === "passthrough" ? undefined : route.tls,
    tlsVersionMin: route.tlsMin,
    hsts: hstsOf(route),
    protocol: route.protocol === "grpc" ? "h2c" : route.protocol,
    split: route.split && { ...route.split },
    rewrite: route.rewrite && rewriteOf(route.rewrite, tell),
    redirect: route.redirect && redirectOf(route.redirect, tell),
    requestHeaders: route.requestHeaders && changesOf(route.requestHeaders),
    responseHeaders: route.responseHeaders && changesOf(route.responseHeaders),
    compression: route.compress,
    bodyBytesMax: route.bodyMaxBytes,
    rateLimit: route.rate && {
      requests: route.rate.requests,
      periodMs: route.rate.perMs ?? RATE_PERIOD_MS,
    },
    auth: route.auth && { secret: route.auth.secret, realm: route.auth.realm ?? host },
    allow: route.allow && [...route.allow],
    deny: route.deny && [...route.deny],
    sticky: stickyOf(route),
    timeouts: Object.keys(timeouts).length === 0 ? undefined : timeoutsOf(timeouts),
    retries: route.retries,
    connectionsPerCopyMax: route.connectionsMax,
    proxyProtocol: route.proxyProtocol,
    errorPages: pagesOf(route, tell),
    accessLog: route.accessLog,
  });
  if (route.path !== undefined && (route.pathExact ?? route.pathRegex) !== undefined) {
    tell("path", "a route has path, path_exact or path_regex");
  }
  for (const { key, message } of routeProblems(compiled)) tell(key, message);
  return compiled;
}

function hstsOf({ hsts }: Route): RouteSpec["hsts"] {
  if (hsts === undefined) return undefined;
  const { maxAgeMs = HSTS_MAX_AGE_MS, subdomains = false } = hsts;
  return { maxAgeSeconds: Math.round(maxAgeMs / 1_000), subdomains };
}

function headersOf(headers: Readonly<Record<string, HeaderWish>>, tell: Tell): HeaderMatch[] {
  return Object.entries(headers).flatMap(([name, wish]): HeaderMatch[] => {
    const ways = (["exact", "prefix", "regex"] as const).filter((way) => wish[way] !== undefined);
    const [way] = ways;
    if (ways.length + (wish.present === undefined ? 0 : 1) !== 1) {
      tell(`headers.${name}`, "a header is compared in one way: a value, prefix, regex or present");
      return [];
    }
    if (way === undefined) return [{ name, kind: wish.present === true ? "present" : "absent" }];
    return [{ name, kind: way, value: wish[way] ?? "" }];
  });
}

function rewriteOf(wish: RewriteWish, tell: Tell): PathRewrite | undefined {
  const { strip, replace, regex, by, path } = wish;
  const ways = [strip, replace, regex, path].filter((way) => way !== undefined);
  const needsBy = replace !== undefined || regex !== undefined;
  if (ways.length !== 1)
    tell("rewrite", "a path is rewritten in one way: strip, replace, regex or path");
  else if (needsBy !== (by !== undefined)) tell("rewrite.by", "goes with replace or regex");
  if (strip !== undefined) return { kind: "strip-prefix", prefix: strip };
  if (replace !== undefined && by !== undefined)
    return { kind: "replace-prefix", prefix: replace, by };
  if (regex !== undefined && by !== undefined) return { kind: "regex", regex, by };
  return path === undefined ? undefined : { kind: "set-path", path };
}

function redirectOf(wish: RedirectWish, tell: Tell): Redirect {
  const code = REDIRECT_CODES.find((each) => each === (wish.code ?? REDIRECT_CODE));
  if (code === undefined)
    tell("redirect.code", `${wish.code}: one of ${REDIRECT_CODES.join(", ")}`);
  const { scheme, host, port, path, prefix } = wish;
  return presentFields<Redirect>({ code: code ?? REDIRECT_CODE, scheme, host, port, path, prefix });
}

function changesOf({ set = {}, add = {}, remove = [] }: HeaderChanges): HeaderChange[] {
  const each = (kind: "set" | "add", table: Readonly<Record<string, string>>) =>
    Object.entries(table).map(([name, value]) => ({ kind, name, value }));
  return [
    ...remove.map((name) => ({ kind: "remove" as const, name })),
    ...each("set", set),
    ...each("add", add),
  ];
}

function stickyOf({ sticky }: Route): RouteSpec["sticky"] {
  if (sticky === undefined) return undefined;
  if (sticky.by === "source") return { kind: "source" };
  return { kind: "cookie", name: sticky.cookie ?? STICKY_COOKIE };
}

function timeoutsOf({
  connectMs,
  responseMs,
  tunnelMs,
  queueMs,
}: NonNullable<Route["timeouts"]>): RouteSpec["timeouts"] {
  return presentFields<NonNullable<RouteSpec["timeouts"]>>({
    connectMs,
    responseMs,
    tunnelMs,
    queueMs,
  });
}

function pagesOf({ errors }: Route, tell: Tell): RouteSpec["errorPages"] {
  if (errors === undefined) return undefined;
  return Object.entries(errors).flatMap(([status, { body, type, intercept }]) => {
    if (!/^\d{3}$/.test(status)) {
      tell(`errors.${status}`, "a status of three digits");
      return [];
    }
    const isHtml = body.trimStart().startsWith("<");
    const contentType = type ?? `text/${isHtml ? "html" : "plain"}; charset=utf-8`;
    const page = { status: Number(status), contentType, body };
    return [{ ...page, ...(intercept === undefined ? {} : { intercept }) }];
  });
}
