/**
 * A route's or port's section: who may ask, what is changed on the way, how copies are chosen and spoken to.
 *
 * All policy of a route stands in its own section, so that it costs nobody else's requests anything, and so
 * that HAProxy's figures of the section are the route's. The order of rules is the order of questions: is it
 * HTTPS, who asks, how often, with what name; then what changes. Pure.
 */

import { createHash } from "node:crypto";
import {
  type BasicAuthModel,
  type HeaderChangeModel,
  type HttpRouteModel,
  type RedirectModel,
  type RewriteModel,
  serviceKey,
  type TcpPortModel,
} from "../model.ts";
import type { IngressBackend, IngressServer } from "./plan.ts";
import { escapedRegex, quoted, quotedFormat } from "./quoting.ts";
import { pathOf } from "./route-table.ts";

/** Idle connections kept to a copy: reuse costs a third of connecting; a few hundred cost nothing. */
const POOL_OPTIONS = "pool-max-conn 200 pool-purge-delay 5s";
/** HAProxy balances by hash only where it found a server at its start. */
export const PLACEHOLDER = "placeholder";
/** Clients whose rate is remembered, for a route; 60 MB when full, taken as it fills. */
const RATE_TABLE_ENTRIES = 100_000;
/** Twice the period, so that a client's rate is not forgotten within it. */
const RATE_EXPIRY_PERIODS = 2;
const DEFAULT_RETRIES = 3;
/** What is worth compressing; event streams are not, they would be held back. */
const COMPRESSED_TYPES =
  "text/html text/css text/plain text/csv text/javascript text/xml application/javascript " +
  "application/json application/xml application/wasm image/svg+xml";
const HTTPS = "{ var(txn.proto) -m str https }";

export interface BackendContext {
  /** Port that a redirect to HTTPS names; omitted: no HTTPS is served. */
  readonly httpsPort: number | undefined;
  /** File of an error page. */
  readonly pagePath: (body: string) => string;
  /** Part of the cookies' values: of the cluster, so that all its nodes know them. */
  readonly cookieKey: string;
}

export function backendLines(backend: IngressBackend, context: BackendContext): string[] {
  return backend.mode === "tcp" ? tcpLines(backend.port) : httpLines(backend.route, context);
}

/** The route's section reads `txn.proto`, by which scheme the client asked. */
export function asksForScheme({ tls, redirect, hsts }: HttpRouteModel): boolean {
  return tls === "required" || redirect !== undefined || hsts !== undefined;
}

/** Name of the list of a route's users. */
export function userListName(route: HttpRouteModel): string {
  return `users:${route.id}`;
}

/** A section of users; nothing for routes without authentication. */
export function userListLines(route: HttpRouteModel): string[] {
  const users = route.auth?.users ?? [];
  if (users.length === 0) return [];
  return [
    `userlist ${userListName(route)}`,
    ...users.map(({ name, hash }) => `  user ${quoted(name)} password ${quoted(hash)}`),
  ];
}

/** What stands behind a server's address: in the file and in `add server` alike. */
export function serverOptions(backend: IngressBackend, server: IngressServer): string {
  const wishes = backend.mode === "http" ? backend.route : undefined;
  const speaks = { http1: "", h2c: "proto h2", https: "ssl verify none" }[
    wishes?.protocol ?? "http1"
  ];
  const proxies = backend.mode === "http" ? wishes?.proxyProtocol : backend.port.proxyProtocol;
  return [
    backend.mode === "http" ? POOL_OPTIONS : "",
    server.weight === 1 ? "" : `weight ${server.weight}`,
    wishes?.connectionsPerCopyMax === undefined ? "" : `maxconn ${wishes.connectionsPerCopyMax}`,
    speaks,
    proxies === true ? "send-proxy-v2" : "",
    // Consistent hashing goes by the number: the same copy has the same one in every worker.
    isHashed(backend) ? `id ${numberOf(server.name)}` : "",
  ]
    .filter((option) => option !== "")
    .join(" ");
}

/** Requests of a client address stay with a copy. */
export function isHashed(backend: IngressBackend): boolean {
  if (backend.mode === "tcp") return backend.port.sticky === true;
  return backend.route.sticky?.kind === "source";
}

/** A drained copy would go on getting the clients that have its cookie. */
export function hasCookie(backend: IngressBackend): boolean {
  return backend.mode === "http" && backend.route.sticky?.kind === "cookie";
}

function numberOf(name: string): number {
  // HAProxy's numbers are positive and signed; small ones are for the file's own servers.
  const value = createHash("sha256").update(name).digest().readUInt32BE(0);
  return 1_000 + (value % 2_000_000_000);
}

function tcpLines(port: TcpPortModel): string[] {
  const idle = port.idleMs === undefined ? "24h" : `${port.idleMs}ms`;
  return [
    "mode tcp",
    ...(port.sticky === true ? hashLines() : ["balance leastconn"]),
    `timeout server ${idle}`,
    ...(port.idleMs === undefined ? [] : [`timeout tunnel ${idle}`]),
    "option srvtcpka",
    `tcp-request content set-var(txn.service) str(${serviceKey(port.target)})`,
    ...rangeConditions(port).map((condition) => `tcp-request content reject if ${condition}`),
    ...(port.serverNames !== undefined && port.connectionsMax !== undefined
      ? [`tcp-request content reject if { be_conn gt ${port.connectionsMax} }`]
      : []),
  ];
}

function hashLines(): string[] {
  return ["balance hash src", "hash-type consistent", `server ${PLACEHOLDER} 127.0.0.1:9 disabled`];
}

/** True for addresses that may not. */
function rangeConditions({
  allow,
  deny,
}: {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}): string[] {
  return [
    ...(deny === undefined || deny.length === 0 ? [] : [`{ src ${deny.join(" ")} }`]),
    ...(allow === undefined ? [] : [allow.length === 0 ? "TRUE" : `!{ src ${allow.join(" ")} }`]),
  ];
}

function httpLines(route: HttpRouteModel, context: BackendContext): string[] {
  return [
    ...balanceLines(route, context),
    ...timeoutLines(route),
    ...(route.retries === undefined || route.retries === DEFAULT_RETRIES
      ? []
      : [`retries ${route.retries}`]),
    ...(route.rateLimit === undefined ? [] : [rateTable(route.rateLimit.periodMs)]),
    ...(route.compression === true
      ? ["compression algo gzip", `compression type ${COMPRESSED_TYPES}`]
      : []),
    ...errorPageLines(route, context),
    `http-request set-var(txn.service) str(${serviceKey(route.target)})`,
    ...(route.accessLog === false ? ["http-request set-log-level silent"] : []),
    ...tlsLines(route, context),
    ...admissionLines(route),
    ...(route.requestHeaders ?? []).map((change) => headerLine("http-request", change)),
    ...(route.redirect === undefined ? [] : redirectLines(route, route.redirect, context)),
    ...(route.rewrite === undefined ? [] : rewriteLines(route.rewrite)),
    ...(route.responseHeaders ?? []).map((change) => headerLine("http-response", change)),
    ...hstsLines(route),
  ];
}

function balanceLines(route: HttpRouteModel, context: BackendContext): string[] {
  const { sticky, splits, tls } = route;
  if (sticky?.kind === "source") return hashLines();
  const balance = splits === undefined || splits.length === 0 ? [] : ["balance roundrobin"];
  if (sticky?.kind !== "cookie") return balance;
  const secure = tls === "required" ? " secure" : "";
  return [
    ...balance,
    `cookie ${sticky.name} insert indirect nocache httponly${secure} attr SameSite=Lax dynamic`,
    `dynamic-cookie-key ${context.cookieKey}`,
  ];
}

function timeoutLines({ timeouts = {} }: HttpRouteModel): string[] {
  const { connectMs, responseMs, tunnelMs, queueMs } = timeouts;
  const named = { connect: connectMs, server: responseMs, tunnel: tunnelMs, queue: queueMs };
  return Object.entries(named).flatMap(([name, ms]) =>
    ms === undefined ? [] : [`timeout ${name} ${ms}ms`],
  );
}

function rateTable(periodMs: number): string {
  const expiryMs = periodMs * RATE_EXPIRY_PERIODS;
  return `stick-table type ipv6 size ${RATE_TABLE_ENTRIES} expire ${expiryMs}ms store http_req_rate(${periodMs}ms)`;
}

function errorPageLines({ errorPages = [] }: HttpRouteModel, context: BackendContext): string[] {
  return errorPages.flatMap(({ status, contentType, body, intercept }) => {
    const page = `content-type ${quoted(contentType)} file ${context.pagePath(body)}`;
    return [
      `http-error status ${status} ${page} hdr cache-control no-store`,
      ...(intercept === true
        ? [`http-response return status ${status} ${page} if { status ${status} }`]
        : []),
    ];
  });
}

function tlsLines({ tls }: HttpRouteModel, { httpsPort }: BackendContext): string[] {
  if (tls !== "required") return [];
  if (httpsPort === undefined) {
    return [
      "http-request return status 421 content-type text/plain hdr x-berth-error no_https" +
        ' string "This address answers HTTPS only, and this node serves none.\\n"' +
        ` unless ${HTTPS}`,
    ];
  }
  const port = httpsPort === 443 ? "" : `:${httpsPort}`;
  const location = `https://%[var(txn.host)]${port}%[pathq]`;
  return [`http-request redirect location ${quoted(location)} code 308 unless ${HTTPS}`];
}

function admissionLines(route: HttpRouteModel): string[] {
  const { rateLimit, bodyBytesMax, auth } = route;
  return [
    ...rangeConditions(route).map(
      (condition) => `http-request deny deny_status 403 if ${condition}`,
    ),
    ...(rateLimit === undefined
      ? []
      : [
          "http-request track-sc0 src",
          `http-request deny deny_status 429 if { sc_http_req_rate(0) gt ${rateLimit.requests} }`,
        ]),
    ...(auth === undefined ? [] : authLines(route, auth)),
    ...(bodyBytesMax === undefined ? [] : bodyLines(bodyBytesMax)),
  ];
}

function authLines(route: HttpRouteModel, auth: BasicAuthModel): string[] {
  if (auth.users.length === 0) {
    return [
      "http-request return status 503 content-type text/plain hdr x-berth-error users_missing" +
        ' string "Nobody can be let in here: the users of this route are not known.\\n"',
    ];
  }
  return [
    `http-request auth realm ${quoted(auth.realm)} unless { http_auth(${userListName(route)}) }`,
    // The copies need no password of the platform's door.
    "http-request del-header Authorization",
  ];
}

/** A body whose size is not told beforehand cannot be bounded here: it must say it. */
function bodyLines(bytesMax: number): string[] {
  const untold = "!{ req.hdr(Content-Length) -m found } { method POST PUT PATCH DELETE }";
  return [
    `http-request deny deny_status 413 if { req.hdr(Content-Length),sub(${bytesMax}) gt 0 }`,
    `http-request wait-for-body time 1s at-least 1 if ${untold}`,
    "http-request return status 411 content-type text/plain hdr x-berth-error length_required" +
      ` string "This route bounds bodies: send a Content-Length.\\n" if ${untold} { req.body_len gt 0 }`,
  ];
}

function headerLine(ruleset: string, change: HeaderChangeModel): string {
  if (change.kind === "remove") return `${ruleset} del-header ${change.name}`;
  return `${ruleset} ${change.kind}-header ${change.name} ${quotedFormat(change.value)}`;
}

function rewriteLines(rewrite: RewriteModel): string[] {
  switch (rewrite.kind) {
    case "strip-prefix":
      return prefixLines(rewrite.prefix, "/");
    case "replace-prefix":
      return prefixLines(rewrite.prefix, rewrite.by);
    case "set-path":
      return [`http-request set-path ${quotedFormat(rewrite.path)}`];
    case "regex":
      return [`http-request replace-path ${quoted(rewrite.regex)} ${quotedFormat(rewrite.by)}`];
  }
}

/** `/api` and `/api/x`, not `/apis`; what is left always begins with a slash. */
function prefixLines(prefix: string, by: string): string[] {
  const bare = escapedRegex(prefix.replace(/\/+$/, ""));
  const end = by.replace(/\/+$/, "");
  return [
    `http-request replace-path ${quoted(`^${bare}(/.*)$`)} ${quotedFormat(`${end}\\1`)}`,
    `http-request replace-path ${quoted(`^${bare}$`)} ${quotedFormat(by)}`,
  ];
}

function redirectLines(
  route: HttpRouteModel,
  redirect: RedirectModel,
  context: BackendContext,
): string[] {
  const { code, scheme, host, port, path, prefix } = redirect;
  const own = pathOf(route);
  const changes = [
    ...(path === undefined ? [] : [`http-request set-path ${quotedFormat(path)}`]),
    ...(prefix === undefined || own.kind !== "prefix" ? [] : prefixLines(own.text, prefix)),
  ];
  const authority =
    host === undefined && scheme === undefined && port === undefined
      ? "%[req.fhdr(Host)]"
      : `${host ?? "%[var(txn.host)]"}${portText(scheme, port, context)}`;
  const location = `${scheme ?? "%[var(txn.proto)]"}://${authority}%[pathq]`;
  return [...changes, `http-request redirect location ${quoted(location)} code ${code}`];
}

function portText(
  scheme: RedirectModel["scheme"],
  port: number | undefined,
  { httpsPort }: BackendContext,
): string {
  if (port !== undefined) return `:${port}`;
  return scheme === "https" && httpsPort !== undefined && httpsPort !== 443 ? `:${httpsPort}` : "";
}

function hstsLines({ hsts, tls }: HttpRouteModel): string[] {
  if (hsts === undefined || tls === "off") return [];
  const value = `max-age=${hsts.maxAgeSeconds}${hsts.subdomains ? "; includeSubDomains" : ""}`;
  return [`http-response set-header Strict-Transport-Security ${quoted(value)} if ${HTTPS}`];
}
