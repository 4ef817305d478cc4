/**
 * The border for routes, ports and certificates: what stands behind it is safe to be put into HAProxy's
 * text (names have no blanks, values no control characters; quoting does the rest), and what a tenant could
 * hurt others with is bounded here: sizes of lists and pages, and how much a regular expression may backtrack.
 *
 * A route that is not as it should be is left out whole and reported; the others are followed.
 */

import { isIP } from "node:net";
import { regexProblem } from "@berth/protocol/regex-bounds";
import type {
  AccessLogModel,
  BasicAuthModel,
  CertificateModel,
  ErrorPageModel,
  FloatingModel,
  HeaderChangeModel,
  HeaderMatchModel,
  HttpRouteModel,
  IngressModel,
  IngressTarget,
  RedirectModel,
  RewriteModel,
  StickyModel,
  TcpPortModel,
  TimeoutsModel,
} from "./ingress-model.ts";
import {
  ADDRESS,
  HOST_NAME,
  ID,
  isDnsName,
  PORT,
  SERVICE,
  SMALL_LIST_MAX,
} from "./model-shapes.ts";
import {
  flag,
  integer,
  list,
  nonEmpty,
  oneOf,
  record,
  refuse,
  type Shape,
  text,
  textWhere,
  tolerantList,
} from "./shape.ts";

/** VRRP has 255 numbers on a wire. */
const FLOATING_MAX = 255;
/** Nodes that share an address. */
const FLOATING_PEERS_MAX = 64;

/** Routes and ports: each is a section of HAProxy's configuration. */
export const ROUTES_MAX = 10_000;
/** A day: longer than any drain that somebody waits for, shorter than a timer can count. */
const DAY_MS = 86_400_000;
/** HAProxy's own bound of a timer. */
const TIMER_MS_MAX = 2_147_483_647;
/** Header lines of a route; more would not fit the room that HAProxy keeps for rewriting (1 KiB). */
const HEADERS_MAX = 32;
/** A page with its head must fit HAProxy's buffer of 16 KiB. */
export const ERROR_PAGE_BYTES_MAX = 12 * 1024;
/** Users of one route: looked through one after the other. */
const USERS_MAX = 1_000;
/** A chain of certificates and a key are a few KiB. */
const PEM_CHARACTERS_MAX = 128 * 1024;
const CERTIFICATES_MAX = 10_000;
/** 1 TiB: larger bodies are a mistake in the unit. */
const BODY_BYTES_MAX = 1024 ** 4;

const HOST = textWhere(
  (host) => host === "*" || isDnsName(host.replace(/^\*\./, "")),
  "a host name, *.name or *",
);
/** What a path may hold (RFC 3986) minus the quote, which would end the configuration's own quoting. */
const PATH = text(/^\/[A-Za-z0-9._~!$&()*+,;=:@%/-]{0,1023}$/, "a path that begins with /");
const METHOD = text(/^[A-Z][A-Z-]{0,31}$/, "a method in capitals");
const HEADER_NAME = text(/^[A-Za-z0-9_-]{1,128}$/, "a header's name");
/** Printable ASCII; a line's end would begin another header. */
const HEADER_VALUE = text(/^[\x20-\x7e]{0,1024}$/, "a header's value of printable characters");
const RANGE = textWhere(isRange, "an address or a range such as 10.0.0.0/8");
const RANGES = list(RANGE, SMALL_LIST_MAX);
const REGEX: Shape<string> = (value, path) => {
  if (typeof value !== "string") return refuse(path, "a regular expression", value);
  const problem = regexProblem(value);
  return problem === undefined ? value : refuse(path, problem, value);
};
const DURATION_MS = integer(1, TIMER_MS_MAX);
const TLS_VERSION = oneOf("1.2", "1.3");

export const targetShape: Shape<IngressTarget> = record({ ...SERVICE, networkId: ID, port: PORT });

const headerMatch: Shape<HeaderMatchModel> = (value, path, drop) => {
  const kind = record({ kind: oneOf("exact", "prefix", "regex", "present", "absent") });
  const shape = { name: HEADER_NAME, ...{ kind: kind(value, path, drop).kind } };
  if (shape.kind === "present" || shape.kind === "absent") {
    return { ...record({ name: HEADER_NAME })(value, path, drop), kind: shape.kind };
  }
  const wanted = shape.kind === "regex" ? REGEX : text(/^[\x20-\x7e]{1,1024}$/, "a value");
  return { ...record({ name: HEADER_NAME, value: wanted })(value, path, drop), kind: shape.kind };
};

const rewrite: Shape<RewriteModel> = (value, path, drop) => {
  const kinds = oneOf("strip-prefix", "replace-prefix", "set-path", "regex");
  const { kind } = record({ kind: kinds })(value, path, drop);
  switch (kind) {
    case "strip-prefix":
      return { kind, ...record({ prefix: PATH })(value, path, drop) };
    case "replace-prefix":
      return { kind, ...record({ prefix: PATH, by: PATH })(value, path, drop) };
    case "set-path":
      return { kind, ...record({ path: PATH })(value, path, drop) };
    case "regex":
      return { kind, ...record({ regex: REGEX, by: REPLACEMENT })(value, path, drop) };
  }
};
const REPLACEMENT = text(/^[A-Za-z0-9._~!$&()*+,;=:@%/\\-]{1,1024}$/, "a replacement for a path");

const redirect: Shape<RedirectModel> = record<
  Pick<RedirectModel, "code">,
  Omit<RedirectModel, "code">
>(
  { code: oneOf(301, 302, 303, 307, 308) },
  { scheme: oneOf("http", "https"), host: HOST_NAME, port: PORT, path: PATH, prefix: PATH },
);

const headerChange: Shape<HeaderChangeModel> = (value, path, drop) => {
  const { kind, name } = record({ kind: oneOf("set", "add", "remove"), name: HEADER_NAME })(
    value,
    path,
    drop,
  );
  if (kind === "remove") return { kind, name };
  return { kind, name, ...record({ value: HEADER_VALUE })(value, path, drop) };
};

const auth: Shape<BasicAuthModel> = record({
  realm: text(/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}$/, "a realm without quotes"),
  users: list(
    record({
      name: text(/^[A-Za-z0-9@._+-]{1,128}$/, "a user's name"),
      hash: text(/^\$[0-9a-z]{1,8}\$[A-Za-z0-9./$=,]{8,256}$/, "a password's hash (crypt)"),
    }),
    USERS_MAX,
  ),
});

const sticky: Shape<StickyModel> = (value, path, drop) => {
  const { kind } = record({ kind: oneOf("cookie", "source") })(value, path, drop);
  if (kind === "source") return { kind };
  return { kind, ...record({ name: text(/^[A-Za-z0-9_-]{1,64}$/, "a name") })(value, path, drop) };
};

const timeouts: Shape<TimeoutsModel> = record<object, TimeoutsModel>(
  {},
  { connectMs: DURATION_MS, responseMs: DURATION_MS, tunnelMs: DURATION_MS, queueMs: DURATION_MS },
);

/** Statuses that HAProxy can have a page for. */
export const ERROR_PAGE_STATUSES = [
  400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504,
] as const;

const errorPage: Shape<ErrorPageModel> = record(
  {
    status: oneOf(...ERROR_PAGE_STATUSES),
    contentType: text(/^[A-Za-z0-9.+/;= -]{3,128}$/, "a content type"),
    body: textWhere(
      (body) => Buffer.byteLength(body) <= ERROR_PAGE_BYTES_MAX,
      `a page of at most ${ERROR_PAGE_BYTES_MAX} bytes`,
    ),
  },
  { intercept: flag },
);

/** As the model's parts, for the error page's sake in a file of its own. */
const httpRouteFields: Shape<HttpRouteModel> = record(
  {
    id: ID,
    hosts: nonEmpty(tolerantList(HOST, SMALL_LIST_MAX)),
    pathPrefix: PATH,
    target: targetShape,
  },
  {
    pathExact: PATH,
    pathRegex: REGEX,
    methods: nonEmpty(list(METHOD, HEADERS_MAX)),
    headers: list(headerMatch, HEADERS_MAX),
    splits: list(record({ target: targetShape, percent: integer(0, 100) }), HEADERS_MAX),
    tls: oneOf("both", "required", "off"),
    tlsVersionMin: TLS_VERSION,
    hsts: record({ maxAgeSeconds: integer(0, TIMER_MS_MAX), subdomains: flag }),
    protocol: oneOf("http1", "h2c", "https"),
    rewrite,
    redirect,
    requestHeaders: list(headerChange, HEADERS_MAX),
    responseHeaders: list(headerChange, HEADERS_MAX),
    compression: flag,
    bodyBytesMax: integer(0, BODY_BYTES_MAX),
    rateLimit: record({ requests: integer(1, 1_000_000_000), periodMs: integer(100, DAY_MS) }),
    auth,
    allow: RANGES,
    deny: RANGES,
    sticky,
    timeouts,
    retries: integer(0, 20),
    connectionsPerCopyMax: integer(1, 1_000_000),
    proxyProtocol: flag,
    errorPages: list(errorPage, ERROR_PAGE_STATUSES.length),
    accessLog: flag,
  },
);

const httpRoute: Shape<HttpRouteModel> = (value, path, drop) => {
  const route = httpRouteFields(value, path, drop);
  const percents = (route.splits ?? []).reduce((sum, { percent }) => sum + percent, 0);
  if (percents > 100) refuse(`${path}.splits`, "at most 100 percent together", percents);
  return route;
};

const tcpPort: Shape<TcpPortModel> = record(
  { id: ID, hostAddress: ADDRESS, hostPort: PORT, target: targetShape },
  {
    serverNames: nonEmpty(list(HOST, SMALL_LIST_MAX)),
    proxyProtocol: flag,
    allow: RANGES,
    deny: RANGES,
    sticky: flag,
    connectionsMax: integer(1, 10_000_000),
    idleMs: DURATION_MS,
  },
);

const accessLog: Shape<AccessLogModel> = record({
  enabled: flag,
  maxBytes: integer(64 * 1024, 1024 ** 4),
  files: integer(0, 100),
});

const floating: Shape<FloatingModel> = record(
  {
    address: textWhere(
      (value) =>
        isIP(value.split("/")[0] ?? "") === 4 && /^[0-9.]+\/([1-9]|[12]\d|3[0-2])$/.test(value),
      "an IPv4 address with its prefix",
    ),
    router: integer(1, 255),
    priority: integer(1, 254),
    source: ADDRESS,
    peers: list(ADDRESS, FLOATING_PEERS_MAX),
  },
  {
    interface: textWhere((name) => /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(name), "an interface"),
  },
);

/** Everything about requests from outside. */
export const ingressShape: Shape<IngressModel> = record(
  {
    httpPort: PORT,
    bindAddress: ADDRESS,
    httpRoutes: tolerantList(httpRoute, ROUTES_MAX),
    tcpPorts: tolerantList(tcpPort, ROUTES_MAX),
    drainTimeoutMs: integer(0, DAY_MS),
  },
  {
    httpsPort: PORT,
    connectionsMax: integer(1, 10_000_000),
    trustedProxies: RANGES,
    proxyProtocolFrom: RANGES,
    tlsVersionMin: TLS_VERSION,
    accessLog,
    floating: tolerantList(floating, FLOATING_MAX),
  },
);

const certificate: Shape<CertificateModel> = record(
  {
    id: ID,
    hosts: tolerantList(HOST, SMALL_LIST_MAX),
    pem: textWhere(
      (pem) => pem.length <= PEM_CHARACTERS_MAX && /^[\x20-\x7e\r\n\t]*$/.test(pem),
      "PEM",
      { secret: true },
    ),
  },
  { default: flag },
);

export const certificatesShape = tolerantList(certificate, CERTIFICATES_MAX);

/** `base64url(SHA-256(account's key))`, the second half of an answer to HTTP-01. */
export const thumbprintShape = text(/^[A-Za-z0-9_-]{20,128}$/, "a thumbprint");

function isRange(value: string): boolean {
  const [address = "", prefix, ...rest] = value.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}
