/** Entries of `x-berth.routes`, as they are written. Reference: docs/reference/routes.md. */

/** A route to the service. Absent fields take the platform's defaults. */
export interface Route {
  /** TCP port of the host: connections instead of requests. */
  readonly tcp?: number;
  /** `shop.example.com`, `*.example.com`, `*`; at least one, except for TCP. */
  readonly hosts?: readonly string[];
  readonly path?: string;
  readonly pathExact?: string;
  readonly pathRegex?: string;
  readonly methods?: readonly string[];
  /** A value, or how it is compared. */
  readonly headers?: Readonly<Record<string, HeaderWish>>;
  /** Container port; the only one that the service states when absent. */
  readonly port?: number;
  /** `both`: HTTPS as well as HTTP; `required`: HTTP is redirected to it. */
  readonly tls?: "both" | "required" | "off" | "passthrough";
  readonly tlsMin?: "1.2" | "1.3";
  readonly hsts?: { readonly maxAgeMs?: number; readonly subdomains?: boolean };
  readonly protocol?: "http1" | "h2c" | "grpc" | "https";
  readonly split?: Readonly<Record<string, number>>;
  readonly rewrite?: RewriteWish;
  readonly redirect?: RedirectWish;
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  readonly compress?: boolean;
  readonly bodyMaxBytes?: number;
  readonly rate?: { readonly requests: number; readonly perMs?: number };
  readonly auth?: { readonly secret: string; readonly realm?: string };
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly sticky?: StickyWish;
  readonly timeouts?: {
    readonly connectMs?: number;
    readonly responseMs?: number;
    readonly tunnelMs?: number;
    readonly queueMs?: number;
    readonly idleMs?: number;
  };
  readonly retries?: number;
  readonly connectionsMax?: number;
  readonly proxyProtocol?: boolean;
  readonly errors?: Readonly<Record<string, ErrorPageWish>>;
  readonly accessLog?: boolean;
}

export interface HeaderWish {
  readonly exact?: string;
  readonly prefix?: string;
  readonly regex?: string;
  readonly present?: boolean;
}

export interface RewriteWish {
  readonly strip?: string;
  readonly replace?: string;
  readonly regex?: string;
  readonly by?: string;
  readonly path?: string;
}

export interface RedirectWish {
  readonly code?: number;
  readonly scheme?: "http" | "https";
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly prefix?: string;
}

export interface HeaderChanges {
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

export interface StickyWish {
  readonly by: "cookie" | "source";
  readonly cookie?: string;
}

export interface ErrorPageWish {
  readonly body: string;
  readonly type?: string;
  readonly intercept?: boolean;
}
