/** Stacks and services as listings show them. Pure over the view. */

import {
  type AnswerOf,
  keys,
  type PublishedPort,
  type Release,
  type RouteSpec,
  type Routes,
  type ServiceScope,
  type Stack,
} from "@berth/protocol";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { type ServiceStanding, standingsOf } from "./service-standing.ts";

type StackViewAnswer = AnswerOf<Routes["getStack"]>;
export type ServiceViewAnswer = StackViewAnswer["services"][number];

export type ViewSettings = Pick<ControlPlaneSettings, "ingressHttpPort" | "ingressHttpsPort">;

/** A stack with its services. */
export function viewStack(
  view: ClusterView,
  stack: Stack,
  now: number,
  settings: ViewSettings,
): StackViewAnswer {
  const release = view.releases.get(keys.release(stack, stack.release))?.value;
  const services = standingsOf(view, stack, now).map((standing) =>
    viewService(view, standing, release, settings),
  );
  return { stack, services };
}

/** One service; `release` is the one that its stack is at. */
function viewService(
  view: ClusterView,
  standing: ServiceStanding,
  release: Release | undefined,
  settings: ViewSettings,
): ServiceViewAnswer {
  const target = release?.services[standing.service];
  const scope: ServiceScope = standing.input.scope;
  const scale = view.scales.get(keys.scale(scope))?.value;
  const ports = target?.spec.ports ?? [];
  const routes = target?.spec.routes ?? [];
  return {
    service: standing.service,
    release: release?.number ?? 0,
    image: target === undefined ? "" : target.image.reference,
    mode: target?.spec.mode ?? "replicated",
    wanted: standing.wanted,
    running: standing.running,
    ready: standing.ready,
    reachable: [...routes.map((route) => routeUrl(route, settings)), ...ports.map(portText)],
    state: standing.state,
    ...(scale === undefined ? {} : { scale }),
  };
}

/** `http://hello.localhost:8080`, or with `https` where the route has TLS. */
function routeUrl({ host, path, tls = "off" }: RouteSpec, settings: ViewSettings): string {
  const { ingressHttpPort, ingressHttpsPort } = settings;
  const [scheme, usual, actual] =
    tls === "off" ? ["http", 80, ingressHttpPort] : ["https", 443, ingressHttpsPort];
  const port = actual === usual ? "" : `:${actual}`;
  return `${scheme}://${host}${port}${path === "/" ? "" : path}`;
}

/** `0.0.0.0:5432 → 5432/tcp` */
function portText({ hostAddress, published, target, protocol }: PublishedPort): string {
  return `${hostAddress ?? "0.0.0.0"}:${published ?? "?"} → ${target}/${protocol}`;
}
