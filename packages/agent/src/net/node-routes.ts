/**
 * Routes and published ports of a service as the data plane takes them. Pure.
 *
 * Identifiers say whose a route is to people who read HAProxy's figures and log; they stay the same while host,
 * path and conditions do.
 */

import { createHash } from "node:crypto";
import {
  type BasicAuthModel,
  type HttpRouteModel,
  type IngressTarget,
  type ServiceName,
  serviceKey,
  type TcpPortModel,
  type UdpPortModel,
} from "@berth/network";
import {
  type PublishedPort,
  type RouteSpec,
  routeHosts,
  routeText,
  type ServiceSpec,
  type TcpRouteSpec,
  tcpRouteText,
} from "@berth/protocol";

/** With the digest below net's limit of 128 characters. */
const ID_TEXT_MAX = 110;
const ANY_ADDRESS = "0.0.0.0";

/** A service with routes, on the network by which it is reached. */
export interface RoutedService {
  readonly name: ServiceName;
  readonly networkId: string;
  readonly spec: Pick<ServiceSpec, "routes" | "tcpRoutes" | "ports">;
  /** Lines `name:hash` of a secret; `undefined` while it is not known. */
  readonly users: (secret: string) => string | undefined;
}

/** Readable, in the characters that net takes, and as unique as the text that it stands for. */
export function identifierOf(text: string): string {
  const readable = text.replace(/[^A-Za-z0-9._:-]/g, ".").slice(0, ID_TEXT_MAX);
  return `${readable}:${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
}

export function httpRoutesOf(service: RoutedService): HttpRouteModel[] {
  return service.spec.routes.map((route) => httpRoute(service, route));
}

function httpRoute(service: RoutedService, route: RouteSpec): HttpRouteModel {
  const { name, networkId, users } = service;
  const { host: _host, moreHosts: _more, path, port, split = {}, auth, tls, ...same } = route;
  const target = { ...name, networkId, port };
  const splits = Object.entries(split).map(([other, percent]) => ({
    target: { ...target, service: other },
    percent,
  }));
  return {
    ...same,
    id: routeIdentifier(name, route),
    hosts: routeHosts(route),
    pathPrefix: path,
    target,
    tls: tls ?? "off",
    ...(splits.length === 0 ? {} : { splits }),
    ...(auth === undefined ? {} : { auth: authOf(auth, users(auth.secret)) }),
  };
}

/** `default/main/shop/web:shop.example.com/api`, with the conditions in the digest. */
function routeIdentifier(name: ServiceName, route: RouteSpec): string {
  const { host, path, pathExact, pathRegex, methods, headers } = route;
  const conditions = [pathExact, pathRegex, methods, headers].some((each) => each !== undefined)
    ? ` ${JSON.stringify([pathExact, pathRegex, methods, headers])}`
    : "";
  return identifierOf(`${serviceKey(name)}:${host}${pathExact ?? path}${conditions}`);
}

/** What people call the routes of a service, and what the data plane does. */
export function routeNames(
  service: RoutedService,
  httpsPort: number | undefined,
): { readonly text: string; readonly id: string }[] {
  const { name, spec } = service;
  return [
    ...spec.routes.map((route) => ({ text: routeText(route), id: routeIdentifier(name, route) })),
    ...(spec.tcpRoutes ?? []).flatMap((route) =>
      tcpRoute(service, route, httpsPort).map(({ id }) => ({ text: tcpRouteText(route), id })),
    ),
    ...spec.ports.flatMap((port) =>
      publishedPort(service, port, "tcp").map(({ id }) => ({ text: `:${port.published}`, id })),
    ),
  ];
}

/** Lines that are no users are left out: nobody is let in by mistake. */
function authOf(auth: NonNullable<RouteSpec["auth"]>, lines: string | undefined): BasicAuthModel {
  const users = (lines ?? "").split("\n").flatMap((line) => {
    const [, name, hash] = /^([^:#\s][^:\s]*):(\$\S+)\s*$/.exec(line.trim()) ?? [];
    return name === undefined || hash === undefined ? [] : [{ name, hash }];
  });
  return { realm: auth.realm, users };
}

/** Published TCP ports and TCP routes. */
export function tcpPortsOf(service: RoutedService, httpsPort: number | undefined): TcpPortModel[] {
  const { spec } = service;
  return [
    ...spec.ports.flatMap((port) => publishedPort(service, port, "tcp")),
    ...(spec.tcpRoutes ?? []).flatMap((route) => tcpRoute(service, route, httpsPort)),
  ];
}

/** Published UDP ports. */
export function udpPortsOf(service: RoutedService): UdpPortModel[] {
  return service.spec.ports.flatMap((port) => publishedPort(service, port, "udp"));
}

/** A port that the file leaves to the platform has its number since the release was made. */
function publishedPort(
  service: RoutedService,
  port: PublishedPort,
  wanted: PublishedPort["protocol"],
): (TcpPortModel & UdpPortModel)[] {
  const { target, published, hostAddress = ANY_ADDRESS, protocol } = port;
  if (protocol !== wanted || published === undefined) return [];
  const suffix = protocol === "tcp" ? "" : `/${protocol}`;
  return [
    {
      id: identifierOf(`${serviceKey(service.name)}:${hostAddress}:${published}${suffix}`),
      hostAddress,
      hostPort: published,
      target: targetOf(service, target),
    },
  ];
}

function tcpRoute(
  service: RoutedService,
  route: TcpRouteSpec,
  httpsPort: number | undefined,
): TcpPortModel[] {
  const { listen, hosts, port, ...same } = route;
  const hostPort = listen ?? httpsPort;
  if (hostPort === undefined) return [];
  const first = hosts?.[0] ?? "";
  return [
    {
      ...same,
      id: identifierOf(`${serviceKey(service.name)}:${hostPort}${first === "" ? "" : `:${first}`}`),
      hostAddress: ANY_ADDRESS,
      hostPort,
      target: targetOf(service, port),
      ...(hosts === undefined ? {} : { serverNames: hosts }),
    },
  ];
}

function targetOf({ name, networkId }: RoutedService, port: number): IngressTarget {
  return { ...name, networkId, port };
}
