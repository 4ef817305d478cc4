/**
 * HAProxy's configuration as text, and the files that it reads: a pure function of the plan and a few facts
 * of the host.
 *
 * The skeleton (everything but `server` lines, tables' contents and certificates) decides whether a reload is
 * needed: copies, hosts and certificates come and go by the runtime API, but are written here as well, so that
 * a reload or a restart begins with all of them. Every name in it has passed the model's border and cannot
 * hold a blank, a quote or a line's end.
 *
 * Design page: docs/design/ingress.md
 */

import { createHash } from "node:crypto";
import type { HttpRouteModel } from "../model.ts";
import {
  type BackendContext,
  backendLines,
  serverOptions,
  userListLines,
} from "./backend-lines.ts";
import { certificateList, type ListedCertificate, listedCertificates } from "./certificates.ts";
import { frontendLines, HTTPS_INSIDE } from "./frontend-lines.ts";
import { mapFiles } from "./map-files.ts";
import type { IngressPlan } from "./plan.ts";
import type { OwnedLine } from "./route-lookup.ts";

export interface ConfigSettings {
  /** The worker's own command socket, which also keeps a configuration without ports valid. */
  readonly statsSocketPath: string;
  /** Between the frontend that looks at TLS names and the one that ends TLS. */
  readonly insideAddress: string;
  /** Folder of the files that the configuration names; in memory, as keys are in it. */
  readonly filesDir: string;
  /** Connections at a time; see `connectionsMaxFor`. */
  readonly connectionsMax: number;
  /** Unprivileged user and group of the workers; omit when HAProxy is not started as root. */
  readonly user?: { readonly name: string; readonly group: string };
  /** HAProxy's standard output is the access log. */
  readonly accessLog: boolean;
}

/** Old workers live this long after a reload at most: what WebSockets and TCP connections get to finish. */
const HARD_STOP_AFTER = "5m";
/** A container's listener answers in microseconds; a copy that does not is passed over. */
const CONNECT_TIMEOUT = "1s";

/** Descriptors that are not connections: listeners, sockets, logs, the poller, threads. */
const DESCRIPTORS_RESERVED = 500;
/** One to the client and one to the copy. */
const DESCRIPTORS_PER_CONNECTION = 2;
const CONNECTIONS_MIN = 100;
/** More than a host carries before its processors are full; each costs 32 KiB of buffers when active. */
const CONNECTIONS_DEFAULT_MAX = 100_000;

/**
 * Connections that fit the process's file limit. HAProxy refuses to start when `maxconn` does not fit the
 * limit and it may not raise it.
 */
export function connectionsMaxFor(descriptorsMax: number, wanted?: number): number {
  const fitting = Math.floor((descriptorsMax - DESCRIPTORS_RESERVED) / DESCRIPTORS_PER_CONNECTION);
  return Math.max(CONNECTIONS_MIN, Math.min(fitting, wanted ?? CONNECTIONS_DEFAULT_MAX));
}

export interface RenderedConfig {
  readonly text: string;
  /**
   * Digest of everything but servers, tables and certificates. It stands in the file as `description`, so a
   * running HAProxy says by `show info` which skeleton it has really loaded, also to a `net` that did not
   * start it.
   */
  readonly skeleton: string;
  /** Files that the text names, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** Tables that a running worker is kept in line with: path and contents. */
  readonly maps: ReadonlyMap<string, string>;
  readonly certificates: readonly ListedCertificate[];
  readonly certificateListPath: string;
  /** Copies that a HAProxy which begins with the text sends requests to, each with its section. */
  readonly servers: ReadonlySet<string>;
  /** For each line of the text (the first is 0), the routes that it is there for. */
  readonly owners: readonly (readonly string[])[];
}

interface Section {
  readonly head: string;
  readonly lines: readonly OwnedLine[];
  /** After the lines; no part of the skeleton. */
  readonly servers?: readonly string[];
  readonly routeIds?: readonly string[];
}

/** The whole file, what it needs, and its skeleton's digest. */
export function renderConfig(plan: IngressPlan, settings: ConfigSettings): RenderedConfig {
  const { filesDir } = settings;
  const pages = new Map<string, string>();
  const maps = mapFiles(plan, filesDir);
  const certificates = listedCertificates(
    plan.certificates,
    plan.model.ingress.httpRoutes,
    `${filesDir}/certificates`,
  );
  const certificateListPath = `${filesDir}/certificates.list`;
  const sections = renderSections(plan, { settings, pages, certificateListPath });
  const global = globalLines(settings);
  const bare = [section("global", global), ...sections.map(withoutServers)];
  const skeleton = digest(textOf(bare)).slice(0, 16);
  const full = [
    section("# Written by Berth: changes here are lost."),
    section("global", [`description ${skeleton}`, ...global]),
    ...sections,
  ];
  const text = textOf(full);
  return {
    skeleton,
    text,
    files: new Map([
      ...maps,
      ...pages,
      ...certificates.map(({ file, pem }) => [file, pem] as const),
      [certificateListPath, certificateList(certificates)],
    ]),
    // A table that nothing looks up is unknown to a worker.
    maps: new Map([...maps].filter(([path]) => text.includes(path))),
    certificates,
    certificateListPath,
    servers: new Set(
      sections.flatMap(({ head, servers = [] }) => servers.map((line) => `${head}: ${line}`)),
    ),
    owners: full.flatMap(ownersOf),
  };
}

interface RenderInput {
  readonly settings: ConfigSettings;
  readonly pages: Map<string, string>;
  readonly certificateListPath: string;
}

function renderSections(plan: IngressPlan, input: RenderInput): Section[] {
  const { settings, certificateListPath } = input;
  const routes = plan.backends.flatMap((backend) =>
    backend.mode === "http" ? [backend.route] : [],
  );
  const context: BackendContext = {
    httpsPort: servesHttps(plan) ? plan.model.ingress.httpsPort : undefined,
    cookieKey: digest(`sticky ${plan.model.cluster.id}`).slice(0, 32),
    pagePath(body) {
      const path = `${settings.filesDir}/pages/${digest(body).slice(0, 16)}`;
      input.pages.set(path, body);
      return path;
    },
  };
  const hasHttp = plan.binds.some(({ mode }) => mode !== "tcp");
  const passesOn = plan.binds.some((bind) => bind.mode === "names" && bind.https !== undefined);
  return [
    section("defaults", [...DEFAULTS, ...(hasHttp ? DEFAULT_ERRORS : [])]),
    ...routes.flatMap(userListSection),
    ...plan.binds.flatMap((bind) =>
      frontendLines(bind, plan.model, { ...settings, certificateListPath }).map(
        ({ name, lines }) => ({ head: `frontend ${name}`, lines }),
      ),
    ),
    ...(hasHttp ? [section("backend berth:unknown-host", UNKNOWN_HOST_LINES)] : []),
    ...(passesOn
      ? [
          section(`backend ${HTTPS_INSIDE}`, [
            "mode tcp",
            "timeout server 24h",
            `server here ${settings.insideAddress} send-proxy-v2`,
          ]),
        ]
      : []),
    ...plan.backends.map((backend): Section => {
      const id = backend.mode === "http" ? backend.route.id : backend.port.id;
      const ready = backend.servers.filter(({ state }) => state === "ready");
      const servers = ready.map((server) =>
        `server ${server.name} ${server.address}:${server.port} ${serverOptions(backend, server)}`.trimEnd(),
      );
      const lines = backendLines(backend, context).map((line) => ({ line }));
      return { head: `backend ${backend.name}`, lines, servers, routeIds: [id] };
    }),
  ];
}

function servesHttps({ binds }: IngressPlan): boolean {
  return binds.some(
    (bind) => bind.mode === "https" || (bind.mode === "names" && bind.https !== undefined),
  );
}

function section(head: string, lines: readonly string[] = []): Section {
  return { head, lines: lines.map((line) => ({ line })) };
}

function userListSection(route: HttpRouteModel): Section[] {
  const [head, ...lines] = userListLines(route);
  if (head === undefined) return [];
  return [{ head, lines: lines.map((line) => ({ line: line.trim() })), routeIds: [route.id] }];
}

function withoutServers({ servers: _servers, ...section }: Section): Section {
  return section;
}

function textOf(sections: readonly Section[]): string {
  const text = sections.map(({ head, lines, servers = [] }) =>
    [head, ...lines.map(({ line }) => `  ${line}`), ...servers.map((line) => `  ${line}`)].join(
      "\n",
    ),
  );
  return `${text.join("\n\n")}\n`;
}

/** One entry for each line of a section and for the blank one after it. */
function ownersOf({ lines, servers = [], routeIds = [] }: Section): (readonly string[])[] {
  const own = lines.map((line) => line.routeIds ?? routeIds);
  return [routeIds, ...own, ...servers.map(() => routeIds), []];
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function globalLines(settings: ConfigSettings): string[] {
  const { user } = settings;
  return [
    `stats socket ${settings.statsSocketPath} mode 600 level admin`,
    `maxconn ${settings.connectionsMax}`,
    `hard-stop-after ${HARD_STOP_AFTER}`,
    ...(user === undefined ? [] : [`user ${user.name}`, `group ${user.group}`]),
    "tune.ssl.default-dh-param 2048",
    // Nothing here asks by HAProxy's own HTTP client; for it every start would read all authorities of the system.
    "httpclient.ssl.verify none",
    "ssl-default-bind-options no-tls-tickets",
    ...(settings.accessLog ? ["log stdout len 8192 format raw daemon info"] : []),
  ];
}

/**
 * Retries: a connection that could not be made is tried on another copy at once, also for bodies, as
 * nothing was sent; an empty answer only where the frontend has not forbidden it (idempotent methods).
 * Keep-alive clients of an old worker are told to close with their next answer, not cut off.
 */
const DEFAULTS = [
  "mode http",
  "balance leastconn",
  `timeout connect ${CONNECT_TIMEOUT}`,
  "timeout queue 5s",
  "timeout http-request 10s",
  "timeout http-keep-alive 60s",
  "timeout client 5m",
  "timeout server 5m",
  "timeout tunnel 24h",
  "option redispatch 1",
  "retries 3",
  "retry-on conn-failure empty-response",
];

const PART = (index: number) => `%[var(txn.service),field(${index},/)]`;
const WHERE = `Service ${PART(4)} of stack ${PART(3)} (project ${PART(1)}, environment ${PART(2)})`;

/** What HAProxy says by itself where a route has no page of its own. */
const DEFAULT_ERRORS = [
  errorLine(403, "not_allowed", "This address may not ask here."),
  errorLine(413, "body_too_large", "The request is larger than this route takes."),
  errorLine(429, "too_many_requests", "Too many requests from this address.", "hdr retry-after 1"),
  errorLine(502, "bad_answer", `${WHERE} gave no proper answer.`),
  // Also what HAProxy says when every copy refused the connection.
  errorLine(
    503,
    "no_ready_copy",
    `${WHERE} has no copy that is ready just now.`,
    "hdr retry-after 1",
  ),
  errorLine(504, "answer_too_late", `${WHERE} did not answer in time.`),
];

function errorLine(status: number, code: string, sentence: string, more = ""): string {
  return (
    `http-error status ${status} content-type 'text/plain; charset=utf-8'` +
    ` hdr cache-control no-store ${more === "" ? "" : `${more} `}hdr x-berth-error ${code}` +
    ` lf-string "${sentence}\\n"`
  );
}

const UNKNOWN_HOST_LINES = [
  "http-request return status 404 content-type 'text/plain; charset=utf-8' hdr cache-control no-store" +
    " hdr x-berth-error unknown_route" +
    ' lf-string "No route of this platform leads to http://%[req.fhdr(Host)]%[path].\\n"',
];
