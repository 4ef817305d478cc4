/**
 * HAProxy's configuration as text: a pure function of the plan and a few facts of the host.
 *
 * Its skeleton (everything but `server` lines) decides whether a reload is needed: copies come and go by
 * the runtime API, but are written here as well, so that a reload or a restart begins with all of them.
 * Every name in it has passed the model's border and cannot hold a blank, a quote or a line's end.
 *
 * Design page: docs/design/ingress.md
 */

import { createHash } from "node:crypto";
import type { HttpRule, IngressBackend, IngressBind, IngressPlan } from "./plan.ts";

export interface ConfigSettings {
  /** The worker's own command socket, which also keeps a configuration without ports valid. */
  readonly statsSocketPath: string;
  /** Connections at a time; see `connectionsMaxFor`. */
  readonly connectionsMax: number;
  /** Unprivileged user and group of the workers; omit when HAProxy is not started as root. */
  readonly user?: { readonly name: string; readonly group: string };
}

/** Old workers live this long after a reload at most: what WebSockets and TCP connections get to finish. */
const HARD_STOP_AFTER = "5m";
/** A container's listener answers in microseconds; a copy that does not is passed over. */
const CONNECT_TIMEOUT = "1s";
/** Idle connections kept to a copy: reuse costs a third of connecting; a few hundred cost nothing. */
export const POOL_OPTIONS = "pool-max-conn 200 pool-purge-delay 5s";

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
   * Digest of everything but the servers. It stands in the file as `description`, so a running HAProxy
   * says by `show info` which skeleton it has really loaded, also to a `net` that did not start it.
   */
  readonly skeleton: string;
}

/** The whole file and its skeleton's digest. */
export function renderConfig(plan: IngressPlan, settings: ConfigSettings): RenderedConfig {
  const bare = renderSections(plan, settings, { servers: false, description: "" });
  const skeleton = createHash("sha256").update(bare).digest("hex").slice(0, 16);
  return {
    skeleton,
    text: renderSections(plan, settings, { servers: true, description: skeleton }),
  };
}

function renderSections(
  plan: IngressPlan,
  settings: ConfigSettings,
  options: { readonly servers: boolean; readonly description: string },
): string {
  const sections = [
    ["# Written by Berth: changes here are lost."],
    globalSection(settings, options.description),
    DEFAULTS_SECTION,
    ...plan.binds.map(frontendSection),
    ...(plan.binds.some((bind) => bind.mode === "http") ? [UNKNOWN_HOST_SECTION] : []),
    ...plan.backends.map((backend) => backendSection(backend, options.servers)),
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

function globalSection(settings: ConfigSettings, description: string): string[] {
  const { user } = settings;
  return [
    "global",
    `  description ${description}`,
    `  stats socket ${settings.statsSocketPath} mode 600 level admin`,
    `  maxconn ${settings.connectionsMax}`,
    `  hard-stop-after ${HARD_STOP_AFTER}`,
    ...(user === undefined ? [] : [`  user ${user.name}`, `  group ${user.group}`]),
  ];
}

/**
 * Retries: a connection that could not be made is tried on another copy at once, also for bodies, as
 * nothing was sent; an empty answer only where the frontend has not forbidden it (idempotent methods).
 * Keep-alive clients of an old worker are told to close with their next answer, not cut off.
 */
const DEFAULTS_SECTION = [
  "defaults",
  "  mode http",
  `  timeout connect ${CONNECT_TIMEOUT}`,
  "  timeout queue 5s",
  "  timeout http-request 10s",
  "  timeout http-keep-alive 60s",
  "  timeout client 5m",
  "  timeout server 5m",
  "  timeout tunnel 24h",
  "  option redispatch 1",
  "  retries 3",
];

function frontendSection(bind: IngressBind): string[] {
  const head = [`frontend ${bind.name}`, `  bind ${bind.address}:${bind.port}`];
  return bind.mode === "tcp" ? [...head, ...tcpLines(bind)] : [...head, ...httpLines(bind)];
}

function tcpLines(bind: IngressBind): string[] {
  return [
    "  mode tcp",
    // A database's pool is idle for hours; the kernel's keep-alive finds peers that are gone.
    "  timeout client 24h",
    "  option clitcpka",
    `  default_backend ${bind.backend ?? ""}`,
  ];
}

function httpLines(bind: IngressBind): string[] {
  return [
    "  option idle-close-on-response",
    "  option forwardfor",
    "  http-request set-header X-Forwarded-Proto http",
    "  http-request set-header X-Forwarded-Host %[req.hdr(Host)]",
    "  http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
    "  http-request set-var(txn.host) req.hdr(Host),host_only,lower,rtrim(.)",
    ...bind.rules.flatMap(ruleLines),
    "  default_backend berth:unknown-host",
  ];
}

/** `/api` is a prefix of whole segments: the path itself, or anything after its slash. */
function ruleLines(rule: HttpRule): string[] {
  const host = hostCondition(rule.host);
  const paths =
    rule.path === "" ? [""] : [`{ path '${rule.path}' }`, `{ path_beg '${rule.path}/' }`];
  return paths.map((path) => {
    const condition = [host, path].filter((part) => part !== "").join(" ");
    return `  use_backend ${rule.backend}${condition === "" ? "" : ` if ${condition}`}`;
  });
}

function hostCondition(host: string): string {
  if (host === "*") return "";
  if (host.startsWith("*.")) return `{ var(txn.host) -m end '${host.slice(1)}' }`;
  return `{ var(txn.host) -m str '${host}' }`;
}

const UNKNOWN_HOST_SECTION = [
  "backend berth:unknown-host",
  "  http-request return status 404 content-type 'text/plain; charset=utf-8' hdr cache-control no-store" +
    " hdr x-berth-error unknown_route" +
    ' lf-string "No route of this platform leads to http://%[req.hdr(Host)]%[path].\\n"',
];

function backendSection(backend: IngressBackend, withServers: boolean): string[] {
  const lines = backend.mode === "tcp" ? TCP_BACKEND_LINES : httpBackendLines(backend);
  const servers = withServers ? backend.servers.filter((server) => server.state === "ready") : [];
  return [
    `backend ${backend.name}`,
    ...lines,
    ...servers.map(
      ({ name, address, port }) => `  server ${name} ${address}:${port} ${POOL_OPTIONS}`,
    ),
  ];
}

const TCP_BACKEND_LINES = [
  "  mode tcp",
  "  balance leastconn",
  "  timeout server 24h",
  "  option srvtcpka",
];

function httpBackendLines(backend: IngressBackend): string[] {
  const { project, environment, stack, service } = backend.target;
  const where = `Service ${service} of stack ${stack} (project ${project}, environment ${environment})`;
  return [
    "  balance leastconn",
    "  retry-on conn-failure empty-response",
    // Also what HAProxy says when every copy refused the connection.
    "  http-error status 503 content-type 'text/plain; charset=utf-8'" +
      " hdr cache-control no-store hdr retry-after 1 hdr x-berth-error no_ready_copy" +
      ` string "${where} has no copy that is ready just now.\\n"`,
  ];
}
