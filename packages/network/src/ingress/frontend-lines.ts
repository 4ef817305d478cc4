/**
 * A port's section: how connections are taken, who the client is, which route a request takes.
 *
 * Pure. The rules are few and the same for every request; what routes wish is in their own sections.
 */

import type { NodeNetworkModel } from "../model.ts";
import { MONITOR_PATH } from "../vrrp/config.ts";
import { ERROR_LOG_FORMAT, HTTP_LOG_FORMAT, TCP_LOG_FORMAT } from "./access-log-format.ts";
import { asksForScheme } from "./backend-lines.ts";
import { namesPath, tablePaths } from "./map-files.ts";
import { type IngressBind, type NameEntry, routeIdOf } from "./plan.ts";
import { quoted } from "./quoting.ts";
import { lookupLines, type OwnedLine, routeExpression } from "./route-lookup.ts";
import type { RouteTable } from "./route-table.ts";

export interface FrontendSettings {
  readonly filesDir: string;
  readonly insideAddress: string;
  readonly certificateListPath: string;
  readonly accessLog: boolean;
}

export interface Frontend {
  readonly name: string;
  readonly lines: readonly OwnedLine[];
}

/** The frontend that ends TLS behind the one that looks at names, and the backend between. */
export const HTTPS_INSIDE = "berth:https";
/** Proxies in a row that are believed: a CDN, a load balancer of the cloud, one of our own. */
const TRUSTED_HOPS_MAX = 4;
/** A hello arrives with the connection; who is silent for this long is no TLS client. */
const HELLO_DELAY = "5s";

export function frontendLines(
  bind: IngressBind,
  model: NodeNetworkModel,
  settings: FrontendSettings,
): Frontend[] {
  const { name, mode } = bind;
  const plain = [...bindLines(bind), ...proxyProtocolLines(model)];
  switch (mode) {
    case "http":
      return [
        { name, lines: [...owned(plain), ...httpLines(bind.table, model, settings, "http")] },
      ];
    case "https": {
      const tls = [
        ...bindLines(bind, ` ${tlsOptions(model, settings)}`),
        ...proxyProtocolLines(model),
      ];
      return [{ name, lines: [...owned(tls), ...httpLines(bind.table, model, settings, "https")] }];
    }
    case "tcp":
      return [{ name, lines: owned([...plain, ...tcpLines(bind, model, settings)]) }];
    case "names": {
      const lines = owned([...plain, ...namesLines(bind, settings)]);
      if (bind.https === undefined) return [{ name, lines }];
      const inside = [`bind ${settings.insideAddress} accept-proxy ${tlsOptions(model, settings)}`];
      return [
        { name, lines },
        {
          name: HTTPS_INSIDE,
          lines: [...owned(inside), ...httpLines(bind.https, model, settings, "https")],
        },
      ];
    }
  }
}

function bindLines({ address, port, ipv6 }: IngressBind, options = ""): string[] {
  const line = `bind ${address}:${port}${options}`;
  return ipv6 === true ? [line, `bind :::${port} v6only${options}`] : [line];
}

function owned(lines: readonly string[]): OwnedLine[] {
  return lines.map((line) => ({ line }));
}

function tlsOptions(
  { ingress }: NodeNetworkModel,
  { certificateListPath }: FrontendSettings,
): string {
  const version = `ssl-min-ver TLSv${ingress.tlsVersionMin ?? "1.2"}`;
  return `ssl crt-list ${certificateListPath} ${version} alpn h2,http/1.1`;
}

function proxyProtocolLines({ ingress }: NodeNetworkModel): string[] {
  const from = ingress.proxyProtocolFrom ?? [];
  if (from.length === 0) return [];
  return [`tcp-request connection expect-proxy layer4 if { src ${from.join(" ")} }`];
}

function httpLines(
  table: RouteTable,
  model: NodeNetworkModel,
  settings: FrontendSettings,
  scheme: "http" | "https",
): OwnedLine[] {
  const paths = tablePaths(settings.filesDir, scheme);
  return [
    ...owned([
      "option idle-close-on-response",
      ...logLines(settings, HTTP_LOG_FORMAT),
      ...(scheme === "http" ? [...monitorLines(model), ...acmeLines(model)] : []),
      ...clientLines(model, scheme),
      "http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
    ]),
    ...lookupLines(table, paths),
    // Of a name that is none, and of nothing, the next line takes care.
    ...owned([
      `use_backend %[${routeExpression(table, paths)}]`,
      "default_backend berth:unknown-host",
    ]),
  ];
}

/** Nobody logs, counts or forwards what asks whether this HAProxy answers. */
function monitorLines({ ingress }: NodeNetworkModel): string[] {
  return (ingress.floating ?? []).length === 0 ? [] : [`monitor-uri ${MONITOR_PATH}`];
}

/** An answer to HTTP-01 needs nothing but the account's thumbprint: any node can give it. */
function acmeLines({ acmeThumbprint }: NodeNetworkModel): string[] {
  if (acmeThumbprint === undefined) return [];
  return [
    "http-request return status 200 content-type text/plain" +
      ` lf-string "%[path,field(-1,/)].${acmeThumbprint}"` +
      " if { path -m reg ^/\\.well-known/acme-challenge/[A-Za-z0-9_-]+$ }",
  ];
}

/**
 * Who asks, and by which scheme. What a stranger writes into X-Forwarded-* is dropped; a trusted proxy is
 * believed, and the address before it counts as the client, over as many trusted ones as there are in a row.
 */
function clientLines({ ingress }: NodeNetworkModel, scheme: "http" | "https"): string[] {
  const trusted = ingress.trustedProxies ?? [];
  if (trusted.length === 0) {
    return [
      "http-request set-header X-Forwarded-For %[src]",
      `http-request set-header X-Forwarded-Proto ${scheme}`,
      "http-request set-header X-Forwarded-Host %[req.fhdr(Host)]",
      ...(ingress.httpRoutes.some(asksForScheme)
        ? [`http-request set-var(txn.proto) str(${scheme})`]
        : []),
    ];
  }
  const from = `{ src ${trusted.join(" ")} }`;
  const believed = "{ var(txn.trusted) -m bool }";
  const hops = Array.from({ length: TRUSTED_HOPS_MAX }, (_, hop) => {
    // The last address is the peer itself, added above.
    const at = `X-Forwarded-For,-${hop + 2}`;
    return `http-request set-src req.hdr_ip(${at}) if ${from} { req.hdr_ip(${at}) -m found }`;
  });
  return [
    `http-request set-var(txn.proto) str(${scheme})`,
    `http-request set-var(txn.trusted) bool(true) if ${from}`,
    `http-request del-header X-Forwarded-For unless ${believed}`,
    "http-request add-header X-Forwarded-For %[src]",
    `http-request set-var(txn.proto) str(https) if ${believed} { req.hdr(X-Forwarded-Proto) -i https }`,
    "http-request set-header X-Forwarded-Proto %[var(txn.proto)]",
    `http-request set-header X-Forwarded-Host %[req.fhdr(Host)] unless ${believed} { req.hdr(X-Forwarded-Host) -m found }`,
    ...hops,
  ];
}

function tcpLines(
  bind: Extract<IngressBind, { mode: "tcp" }>,
  { ingress }: NodeNetworkModel,
  settings: FrontendSettings,
): string[] {
  const port = ingress.tcpPorts.find(({ id }) => id === routeIdOf(bind.backend));
  const idle = port?.idleMs;
  return [
    "mode tcp",
    // A database's pool is idle for hours; the kernel's keep-alive finds peers that are gone.
    `timeout client ${idle === undefined ? "24h" : `${idle}ms`}`,
    "option clitcpka",
    ...(port?.connectionsMax === undefined ? [] : [`maxconn ${port.connectionsMax}`]),
    ...logLines(settings, TCP_LOG_FORMAT),
    `default_backend ${bind.backend}`,
  ];
}

function logLines({ accessLog }: FrontendSettings, format: string): string[] {
  if (!accessLog) return [];
  return [
    "log global",
    `log-format ${quoted(format)}`,
    `error-log-format ${quoted(ERROR_LOG_FORMAT)}`,
  ];
}

function namesLines(
  bind: Extract<IngressBind, { mode: "names" }>,
  settings: FrontendSettings,
): string[] {
  const path = namesPath(settings.filesDir, bind.port, bind.address);
  const set = "tcp-request content set-var(sess.backend)";
  const undecided = "!{ var(sess.backend) -m found }";
  return [
    "mode tcp",
    "timeout client 24h",
    "option clitcpka",
    ...logLines(settings, TCP_LOG_FORMAT),
    `tcp-request inspect-delay ${HELLO_DELAY}`,
    "tcp-request content set-var(sess.name) req.ssl_sni,lower,rtrim(.)",
    `${set} var(sess.name),map_str(${path})`,
    ...suffixLabels(bind.names).map(
      (labels) =>
        `${set} var(sess.name),field(-1,.,${labels}),regsub(^,*.),map_str(${path})` +
        ` if ${undecided} { var(sess.name),field(-${labels + 1},.) -m found }`,
    ),
    ...(bind.names.some(({ host }) => host === "*")
      ? [`${set} str(*),map_str(${path}) if ${undecided} { req.ssl_hello_type 1 }`]
      : []),
    "tcp-request content accept if { req.ssl_hello_type 1 }",
    ...(bind.https === undefined ? ["tcp-request content reject"] : []),
    "use_backend %[var(sess.backend)] if { var(sess.backend) -m found }",
    ...(bind.https === undefined ? [] : [`default_backend ${HTTPS_INSIDE}`]),
  ];
}

/** Of the wildcards, most labels first. */
function suffixLabels(names: readonly NameEntry[]): number[] {
  const counts = names
    .filter(({ host }) => host.startsWith("*."))
    .map(({ host }) => host.split(".").length - 1);
  return [...new Set(counts)].sort((a, b) => b - a);
}
