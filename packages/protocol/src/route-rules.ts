/**
 * What can be wrong with a route beyond its schema. The compiler of stack files says it with file and line, the
 * server to whoever asks it directly; the data plane refuses the same once more. Pure; O(size of the route).
 */

import { regexProblem } from "./regex-bounds.ts";
import { type RouteSpec, routeHosts, type TcpRouteSpec } from "./resources/route-spec.ts";

/** Something wrong with a key of a route, in the words of the stack file. */
export interface RouteProblem {
  /** `host`, `allow[1]`. */
  readonly key: string;
  readonly message: string;
}

const LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
const HOST = new RegExp(`^(\\*\\.)?${LABEL}(\\.${LABEL})*$`, "i");
/** What a path may hold (RFC 3986), minus the quote. */
const PATH = /^\/[A-Za-z0-9._~!$&()*+,;=:@%/-]*$/;
const STATUSES = [400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504];

/** Everything that is wrong with a route; empty when it makes sense. */
export function routeProblems(route: RouteSpec): RouteProblem[] {
  const percent = Object.values(route.split ?? {}).reduce((sum, each) => sum + each, 0);
  return [
    ...hostProblems("host", routeHosts(route)),
    ...pathProblems(route),
    ...(route.headers ?? []).flatMap(({ name, kind, value = "" }) => {
      const key = `headers.${name}`;
      if (kind === "regex") return regexProblems(key, value);
      const needsValue = kind === "exact" || kind === "prefix";
      return needsValue && value === "" ? [{ key, message: "an empty value matches nothing" }] : [];
    }),
    ...(percent > 100 ? [{ key: "split", message: `${percent} percent are more than all` }] : []),
    ...rewriteProblems(route),
    ...redirectProblems(route),
    ...rangeProblems(route),
    ...(route.errorPages ?? []).flatMap(({ status }) =>
      STATUSES.includes(status)
        ? []
        : [{ key: `errors.${status}`, message: `there can be no page for ${status}` }],
    ),
    ...tlsProblems(route),
  ];
}

/** As `routeProblems`. */
export function tcpRouteProblems(route: TcpRouteSpec): RouteProblem[] {
  const needs = route.listen === undefined && route.hosts === undefined;
  return [
    ...(needs ? [{ key: "tcp", message: "a TCP route needs a port, or names of TLS" }] : []),
    ...hostProblems("host", route.hosts ?? []),
    ...rangeProblems(route),
  ];
}

function hostProblems(key: string, hosts: readonly string[]): RouteProblem[] {
  return hosts
    .filter((host) => host !== "*" && !(HOST.test(host) && host.length <= 253))
    .map((host) => ({ key, message: `${JSON.stringify(host)} is no host name, *.name or *` }));
}

function pathProblems(route: RouteSpec): RouteProblem[] {
  const { path, pathExact, pathRegex } = route;
  return [
    ...pathProblem("path", path),
    ...pathProblem("path_exact", pathExact),
    ...(pathRegex === undefined ? [] : regexProblems("path_regex", pathRegex)),
    ...(pathExact !== undefined && pathRegex !== undefined
      ? [{ key: "path_regex", message: "a route has path, path_exact or path_regex" }]
      : []),
  ];
}

function pathProblem(key: string, path: string | undefined): RouteProblem[] {
  if (path === undefined || PATH.test(path)) return [];
  return [{ key, message: `${JSON.stringify(path)} is no path: it has a blank, a query, or such` }];
}

function regexProblems(key: string, regex: string): RouteProblem[] {
  const problem = regexProblem(regex);
  return problem === undefined
    ? []
    : [{ key, message: `${JSON.stringify(regex)}: expected ${problem}` }];
}

function rewriteProblems({ rewrite }: RouteSpec): RouteProblem[] {
  switch (rewrite?.kind) {
    case undefined:
      return [];
    case "strip-prefix":
      return pathProblem("rewrite.strip", rewrite.prefix);
    case "replace-prefix":
      return [
        ...pathProblem("rewrite.replace", rewrite.prefix),
        ...pathProblem("rewrite.by", rewrite.by),
      ];
    case "set-path":
      return pathProblem("rewrite.path", rewrite.path);
    case "regex":
      return [
        ...regexProblems("rewrite.regex", rewrite.regex),
        ...(/^[A-Za-z0-9._~!$&()*+,;=:@%/\\-]+$/.test(rewrite.by)
          ? []
          : [{ key: "rewrite.by", message: `${JSON.stringify(rewrite.by)} is no path` }]),
      ];
  }
}

function redirectProblems({ redirect }: RouteSpec): RouteProblem[] {
  if (redirect === undefined) return [];
  const { scheme, host, port, path, prefix } = redirect;
  const changes = [scheme, host, port, path, prefix].some((each) => each !== undefined);
  return [
    ...(changes ? [] : [{ key: "redirect", message: "leads to where the request came from" }]),
    ...(path !== undefined && prefix !== undefined
      ? [{ key: "redirect.prefix", message: "a redirect has path or prefix" }]
      : []),
    ...(host === undefined || host === "*" ? [] : hostProblems("redirect.host", [host])),
    ...pathProblem("redirect.path", path),
    ...pathProblem("redirect.prefix", prefix),
  ];
}

function rangeProblems(route: {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}): RouteProblem[] {
  return (["allow", "deny"] as const).flatMap((key) =>
    (route[key] ?? []).flatMap((range, index) =>
      isRange(range)
        ? []
        : [
            {
              key: `${key}[${index}]`,
              message: `${JSON.stringify(range)} is no address or range such as 10.0.0.0/8`,
            },
          ],
    ),
  );
}

function tlsProblems({ tls, hsts, tlsVersionMin }: RouteSpec): RouteProblem[] {
  if (tls !== undefined && tls !== "off") return [];
  const without = (key: string) => ({ key, message: "has no meaning without tls" });
  return [
    ...(hsts === undefined ? [] : [without("hsts")]),
    ...(tlsVersionMin === undefined ? [] : [without("tls_min")]),
  ];
}

const BYTE = "(25[0-5]|2[0-4]\\d|1?\\d?\\d)";
const IPV4 = new RegExp(`^${BYTE}(\\.${BYTE}){3}(/(3[0-2]|[12]?\\d))?$`);

/** An address, IPv4 or IPv6, with or without a prefix's length. */
export function isRange(text: string): boolean {
  if (IPV4.test(text)) return true;
  const [address = "", length, ...rest] = text.split("/");
  if (rest.length > 0 || !address.includes(":")) return false;
  if (length !== undefined && !(/^\d{1,3}$/.test(length) && Number(length) <= 128)) return false;
  return isIpv6(address);
}

function isIpv6(address: string): boolean {
  const halves = address.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : groups.length === 8;
}
