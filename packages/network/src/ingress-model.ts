/**
 * The part of a node's model that says how requests from outside reach services: routes by host and path,
 * published ports, certificates.
 *
 * Invariants: every wish is a plain value, nothing is text of HAProxy; a field that is absent means what its
 * comment says, so that a model of an earlier version means what it meant. Secrets (keys of certificates,
 * hashes of passwords) are in here and are kept in memory only: see `secret-store.ts`.
 *
 * Design page: docs/design/ingress.md
 */

import type { ServiceName } from "./service-name.ts";

/** How requests from outside reach services on this node. */
export interface IngressModel {
  /** Port for all HTTP routes; it is bound only while there is a route. */
  readonly httpPort: number;
  /** Port for HTTPS and for TLS that is passed through by name. Omitted: this node serves no HTTPS. */
  readonly httpsPort?: number;
  /** Address for `httpPort` and `httpsPort`; `0.0.0.0` for all. */
  readonly bindAddress: string;
  readonly httpRoutes: readonly HttpRouteModel[];
  readonly tcpPorts: readonly TcpPortModel[];
  /** How long connections of a vanished endpoint may live on, milliseconds. Default 30,000. */
  readonly drainTimeoutMs: number;
  /** Upper bound of connections; the process's file limit may lower it further. Omit for that alone. */
  readonly connectionsMax?: number;
  /** Ranges whose X-Forwarded-* is believed: proxies in front of this one. Default none. */
  readonly trustedProxies?: readonly string[];
  /** Ranges whose connections begin with the PROXY protocol, and must. Default none. */
  readonly proxyProtocolFrom?: readonly string[];
  /** Oldest TLS that is spoken where a route says nothing. Default 1.2. */
  readonly tlsVersionMin?: TlsVersion;
  /** Omitted: 64 MiB and 3 older files. */
  readonly accessLog?: AccessLogModel;
  /** Addresses that one of several nodes has at a time. Default none. With some, `httpPort` is always bound. */
  readonly floating?: readonly FloatingModel[];
}

/** This node's part in an address that moves between nodes (VRRP). */
export interface FloatingModel {
  /** `192.0.2.10/24`. */
  readonly address: string;
  /** Where it is; omitted: the interface whose range it is in. */
  readonly interface?: string;
  /** VRRP's number on the wire, 1 to 255. */
  readonly router: number;
  /** 1 to 254; the highest of those who can has the address. */
  readonly priority: number;
  /** Where the others reach this node. */
  readonly source: string;
  /** Where the other nodes are reached. */
  readonly peers: readonly string[];
}

export type TlsVersion = "1.2" | "1.3";

export interface AccessLogModel {
  readonly enabled: boolean;
  /** A file that has grown beyond this is put aside, bytes. */
  readonly maxBytes: number;
  /** Files that were put aside and are kept. */
  readonly files: number;
}

/** The copies that a route or port leads to: ready endpoints of the service on that network. */
export interface IngressTarget extends ServiceName {
  readonly networkId: string;
  /** Port inside the container. */
  readonly port: number;
}

export interface HttpRouteModel {
  readonly id: string;
  /** `a.example.com`, `*.example.com` (one or more labels), or `*` for every host. At least one. */
  readonly hosts: readonly string[];
  /**
   * Prefix on whole segments: `/api` matches `/api` and `/api/x`, not `/apis`. `/` for all. Without meaning
   * where `pathExact` or `pathRegex` is there.
   */
  readonly pathPrefix: string;
  /** This path and no other. */
  readonly pathExact?: string;
  /** Regular expression (PCRE) that the whole path matches. */
  readonly pathRegex?: string;
  /** Any of these; omitted: every method. */
  readonly methods?: readonly string[];
  /** All of these. */
  readonly headers?: readonly HeaderMatchModel[];
  readonly target: IngressTarget;
  /** Services that get a part of the requests; `target` gets the rest. */
  readonly splits?: readonly SplitModel[];
  /** `both` (default): HTTP and, where there is one, the HTTPS port; `required`: HTTPS, HTTP is redirected. */
  readonly tls?: "both" | "required" | "off";
  /** Oldest TLS for the hosts of this route. */
  readonly tlsVersionMin?: TlsVersion;
  readonly hsts?: { readonly maxAgeSeconds: number; readonly subdomains: boolean };
  /** What the copies speak. Default `http1`. */
  readonly protocol?: "http1" | "h2c" | "https";
  readonly rewrite?: RewriteModel;
  /** Answered by HAProxy itself; no copy is asked. */
  readonly redirect?: RedirectModel;
  readonly requestHeaders?: readonly HeaderChangeModel[];
  readonly responseHeaders?: readonly HeaderChangeModel[];
  readonly compression?: boolean;
  /** Larger requests get 413. */
  readonly bodyBytesMax?: number;
  readonly rateLimit?: RateLimitModel;
  readonly auth?: BasicAuthModel;
  /** Ranges that may ask; omitted: all. */
  readonly allow?: readonly string[];
  /** Ranges that may not, even where `allow` says so. */
  readonly deny?: readonly string[];
  readonly sticky?: StickyModel;
  readonly timeouts?: TimeoutsModel;
  /** Attempts after the first at most; 0 for none. Default 3. */
  readonly retries?: number;
  /** Connections to one copy at a time; more wait (`timeouts.queueMs`), then get 503. */
  readonly connectionsPerCopyMax?: number;
  /** Copies get the PROXY protocol (version 2) with each connection. */
  readonly proxyProtocol?: boolean;
  readonly errorPages?: readonly ErrorPageModel[];
  /** Requests of this route are written to the access log. Default true. */
  readonly accessLog?: boolean;
}

export interface HeaderMatchModel {
  readonly name: string;
  readonly kind: "exact" | "prefix" | "regex" | "present" | "absent";
  /** Of the last header of that name; without meaning for `present` and `absent`. */
  readonly value?: string;
}

export interface SplitModel {
  readonly target: IngressTarget;
  /** Of all requests, 0 to 100; all splits of a route together at most 100. */
  readonly percent: number;
}

export type RewriteModel =
  /** Takes the prefix away (`/api/x` becomes `/x`). */
  | { readonly kind: "strip-prefix"; readonly prefix: string }
  | { readonly kind: "replace-prefix"; readonly prefix: string; readonly by: string }
  | { readonly kind: "set-path"; readonly path: string }
  /** `\1` in `by` stands for the first group. */
  | { readonly kind: "regex"; readonly regex: string; readonly by: string };

export interface RedirectModel {
  readonly code: 301 | 302 | 303 | 307 | 308;
  /** Each as requested where omitted. */
  readonly scheme?: "http" | "https";
  readonly host?: string;
  readonly port?: number;
  /** With the query as requested. */
  readonly path?: string;
  /** Takes the place of the route's prefix in the path. */
  readonly prefix?: string;
}

export type HeaderChangeModel =
  | { readonly kind: "set" | "add"; readonly name: string; readonly value: string }
  | { readonly kind: "remove"; readonly name: string };

export interface RateLimitModel {
  /** Of one client address in a period. */
  readonly requests: number;
  readonly periodMs: number;
}

export interface BasicAuthModel {
  readonly realm: string;
  /** `undefined` is never everybody: a route whose users are not known answers 503. */
  readonly users: readonly { readonly name: string; readonly hash: string }[];
}

export type StickyModel =
  | { readonly kind: "cookie"; readonly name: string }
  | { readonly kind: "source" };

/** Milliseconds; the platform's defaults where omitted. */
export interface TimeoutsModel {
  readonly connectMs?: number;
  /** Between two pieces of an answer. */
  readonly responseMs?: number;
  /** Upgraded connections (WebSocket) without a word. */
  readonly tunnelMs?: number;
  /** For a free place at a copy. */
  readonly queueMs?: number;
}

export interface ErrorPageModel {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Also takes the place of a copy's own answer of that status. */
  readonly intercept?: boolean;
}

/** A published TCP port, or one name of a port that several share by TLS server name. */
export interface TcpPortModel {
  readonly id: string;
  /** IPv4 address of the host; `0.0.0.0` for all. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly target: IngressTarget;
  /** TLS server names (as hosts of routes) that are passed through to the target; omitted: every connection. */
  readonly serverNames?: readonly string[];
  /** Copies get the PROXY protocol (version 2). */
  readonly proxyProtocol?: boolean;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  /** A client address stays with its copy. */
  readonly sticky?: boolean;
  /** Connections at a time; more wait to be accepted. */
  readonly connectionsMax?: number;
  /** Without a word from either side, milliseconds. Default a day. */
  readonly idleMs?: number;
}

/** A certificate with its key, for TLS that ends here. Writer: whoever obtains certificates. */
export interface CertificateModel {
  readonly id: string;
  /** Names that it is given out for: exact or `*.example.com` (one label). */
  readonly hosts: readonly string[];
  /** Chain and key, PEM. In memory only. */
  readonly pem: string;
  /** For hosts that no certificate names. */
  readonly default?: boolean;
}
