/**
 * How requests from outside reach a service: HTTP routes and TCP routes, as the stack file wishes them.
 * Written by users (through the Compose compiler), immutable inside a release.
 *
 * A field that is absent means what its comment says. Durations in milliseconds, sizes in bytes.
 */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Host = Type.String({ minLength: 1, maxLength: 253 });
const Path = Type.String({ pattern: "^/", maxLength: 1_024 });
const Regex = Type.String({ minLength: 1, maxLength: 512 });
const Milliseconds = Type.Number({ minimum: 1, maximum: 2_147_483_647 });
const Ranges = Type.Array(Type.String({ maxLength: 64 }), { maxItems: 256 });
const HeaderName = Type.String({ pattern: "^[A-Za-z0-9_-]{1,128}$" });
/** Printable ASCII: a line's end would begin another header. */
const HeaderValue = Type.String({ pattern: "^[ -~]*$", maxLength: 1_024 });

/** A condition on a request's header; of several headers of one name the last one counts. */
export const HeaderMatch = Type.Object({
  name: HeaderName,
  kind: Type.Union([
    Type.Literal("exact"),
    Type.Literal("prefix"),
    Type.Literal("regex"),
    Type.Literal("present"),
    Type.Literal("absent"),
  ]),
  /** Not with `present` and `absent`. */
  value: Type.Optional(HeaderValue),
});
export type HeaderMatch = Of<typeof HeaderMatch>;

/** What becomes of the path on the way to a copy. Queries stay. */
export const PathRewrite = Type.Union([
  Type.Object({ kind: Type.Literal("strip-prefix"), prefix: Path }),
  Type.Object({ kind: Type.Literal("replace-prefix"), prefix: Path, by: Path }),
  Type.Object({ kind: Type.Literal("set-path"), path: Path }),
  /** `\1` in `by` is the first group. */
  Type.Object({
    kind: Type.Literal("regex"),
    regex: Regex,
    by: Type.String({ minLength: 1, maxLength: 1_024 }),
  }),
]);
export type PathRewrite = Of<typeof PathRewrite>;

/** An answer that sends the client elsewhere; what is absent stays as requested. */
export const Redirect = Type.Object({
  code: Type.Union([
    Type.Literal(301),
    Type.Literal(302),
    Type.Literal(303),
    Type.Literal(307),
    Type.Literal(308),
  ]),
  scheme: Type.Optional(Type.Union([Type.Literal("http"), Type.Literal("https")])),
  host: Type.Optional(Host),
  /** Where host, scheme or port change, a port that is absent is the scheme's own. */
  port: Type.Optional(Port),
  path: Type.Optional(Path),
  /** In place of the route's prefix. */
  prefix: Type.Optional(Path),
});
export type Redirect = Of<typeof Redirect>;

/** A change of a request's or an answer's headers, in order. */
export const HeaderChange = Type.Union([
  Type.Object({
    kind: Type.Union([Type.Literal("set"), Type.Literal("add")]),
    name: HeaderName,
    value: HeaderValue,
  }),
  Type.Object({ kind: Type.Literal("remove"), name: HeaderName }),
]);
export type HeaderChange = Of<typeof HeaderChange>;

/** In place of an answer without content that is somebody's: HAProxy's own, or also the copy's. */
export const ErrorPage = Type.Object({
  status: Type.Integer({ minimum: 400, maximum: 504 }),
  /** `text/html; charset=utf-8` by default. */
  contentType: Type.String({ maxLength: 128 }),
  body: Type.String({ maxLength: 12_288 }),
  /** Also in place of a copy's own answer of that status. Default false. */
  intercept: Type.Optional(Type.Boolean()),
});
export type ErrorPage = Of<typeof ErrorPage>;

/** An HTTP route: requests for `host` and `path` go to `port` of the service. */
export const RouteSpec = Type.Object({
  /** Exact name, `*.example.com` (one label or more), or `*`. */
  host: Host,
  /** Further hosts of the same route. */
  moreHosts: Type.Optional(Type.Array(Host, { maxItems: 255 })),
  /** Prefix on whole segments; "/" by default. Without meaning beside `pathExact` and `pathRegex`. */
  path: Path,
  pathExact: Type.Optional(Path),
  /** PCRE that the whole path matches; bounded (docs/reference/routes.md). */
  pathRegex: Type.Optional(Regex),
  port: Port,
  /** In capitals; absent: every method. */
  methods: Type.Optional(
    Type.Array(Type.String({ pattern: "^[A-Z][A-Z-]{0,31}$" }), { minItems: 1, maxItems: 32 }),
  ),
  headers: Type.Optional(Type.Array(HeaderMatch, { maxItems: 32 })),
  /**
   * TLS that ends at the ingress: `both` serves HTTP as well, `required` redirects it to HTTPS. The
   * certificate is found or made by itself (docs/design/certificates.md). Absent: as `off`.
   */
  tls: Type.Optional(
    Type.Union([Type.Literal("both"), Type.Literal("required"), Type.Literal("off")]),
  ),
  /** Oldest TLS for the hosts; 1.2 by default. */
  tlsVersionMin: Type.Optional(Type.Union([Type.Literal("1.2"), Type.Literal("1.3")])),
  hsts: Type.Optional(
    Type.Object({
      maxAgeSeconds: Type.Integer({ minimum: 0, maximum: 2_147_483_647 }),
      subdomains: Type.Boolean(),
    }),
  ),
  /** What the copies speak; http1 by default. `h2c` for gRPC. */
  protocol: Type.Optional(
    Type.Union([Type.Literal("http1"), Type.Literal("h2c"), Type.Literal("https")]),
  ),
  /** Percent of the requests for other services of the stack, at most 100 together. */
  split: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0, maximum: 100 }))),
  rewrite: Type.Optional(PathRewrite),
  redirect: Type.Optional(Redirect),
  requestHeaders: Type.Optional(Type.Array(HeaderChange, { maxItems: 32 })),
  responseHeaders: Type.Optional(Type.Array(HeaderChange, { maxItems: 32 })),
  /** gzip for those who take it. Default false. */
  compression: Type.Optional(Type.Boolean()),
  /** Larger bodies get 413, bodies of unknown size 411. */
  bodyBytesMax: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_099_511_627_776 })),
  /** Of one client address; more get 429. */
  rateLimit: Type.Optional(
    Type.Object({
      requests: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
      periodMs: Type.Number({ minimum: 100, maximum: 86_400_000 }),
    }),
  ),
  auth: Type.Optional(
    Type.Object({
      realm: Type.String({ minLength: 1, maxLength: 128 }),
      /** A key of the stack's `secrets`: lines `name:hash`, as `htpasswd` writes them. */
      secret: Type.String({ minLength: 1 }),
    }),
  ),
  /** Ranges that may ask; absent: all. */
  allow: Type.Optional(Ranges),
  /** Ranges that may not, even where `allow` says so. */
  deny: Type.Optional(Ranges),
  sticky: Type.Optional(
    Type.Union([
      Type.Object({
        kind: Type.Literal("cookie"),
        name: Type.String({ pattern: "^[A-Za-z0-9_-]{1,64}$" }),
      }),
      Type.Object({ kind: Type.Literal("source") }),
    ]),
  ),
  timeouts: Type.Optional(
    Type.Object({
      /** 1,000 by default. */
      connectMs: Type.Optional(Milliseconds),
      /** Between two pieces of an answer; 300,000 by default. */
      responseMs: Type.Optional(Milliseconds),
      /** WebSockets without a word; a day by default. */
      tunnelMs: Type.Optional(Milliseconds),
      /** For a free place at a copy; 5,000 by default. */
      queueMs: Type.Optional(Milliseconds),
    }),
  ),
  /** Attempts after the first, of what nobody has answered; 3 by default. */
  retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 20 })),
  /** At one copy at a time; more wait. Unbounded by default. */
  connectionsPerCopyMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /** Copies get the PROXY protocol, version 2. Default false. */
  proxyProtocol: Type.Optional(Type.Boolean()),
  errorPages: Type.Optional(Type.Array(ErrorPage, { maxItems: 16 })),
  /** In the access log. Default true. */
  accessLog: Type.Optional(Type.Boolean()),
});
export type RouteSpec = Of<typeof RouteSpec>;

/** A TCP route: connections to a port of the host, or TLS for a name on it, go to `port` of the service. */
export const TcpRouteSpec = Type.Object({
  /** Of the host; absent: the platform's HTTPS port, which `hosts` share with everybody. */
  listen: Type.Optional(Port),
  /** TLS server names that are passed through; absent: every connection. */
  hosts: Type.Optional(Type.Array(Host, { minItems: 1, maxItems: 256 })),
  port: Port,
  /** Copies get the PROXY protocol, version 2. Default false. */
  proxyProtocol: Type.Optional(Type.Boolean()),
  allow: Type.Optional(Ranges),
  deny: Type.Optional(Ranges),
  /** A client address stays with its copy. Default false. */
  sticky: Type.Optional(Type.Boolean()),
  /** Connections at a time. Unbounded by default. */
  connectionsMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
  /** Without a word from either side; a day by default. */
  idleMs: Type.Optional(Milliseconds),
});
export type TcpRouteSpec = Of<typeof TcpRouteSpec>;

/** Every host of a route. */
export function routeHosts(route: Pick<RouteSpec, "host" | "moreHosts">): readonly string[] {
  return [...new Set([route.host, ...(route.moreHosts ?? [])])];
}

/** Names of secrets that routes need, besides those that containers get. */
export function secretsOfRoutes(routes: readonly RouteSpec[]): readonly string[] {
  return [...new Set(routes.flatMap(({ auth }) => (auth === undefined ? [] : [auth.secret])))];
}
