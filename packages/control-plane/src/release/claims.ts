/**
 * Claims of a release: the host ports and HTTP routes that only one stack may have.
 *
 * A claim is a key of its own, taken in the transaction that makes the release, so that of two stacks that
 * ask at the same time one is refused. A port on all addresses and the same port on one address are
 * different keys but exclude each other: that is looked up in the newest state, which suffices because one
 * controller takes all of these claims, one after the other.
 *
 * A stack holds the claims of the releases that it may go to by itself: the current one, the good one and
 * the one that a rollout came from. A manual rollback to an older release takes them again.
 */

import {
  type Claim,
  keys,
  type PublishedPort,
  type Release,
  type RouteSpec,
  routeHosts,
  type ServiceSpec,
  type Stack,
  type StackScope,
  stackKey,
  type TcpRouteSpec,
} from "@berth/protocol";
import type { ClaimHolder } from "../state/claim-holder.ts";
import { type ClusterView, heldTerm } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { Compare, Operation } from "../store/port.ts";
import { unchangedSince } from "./refusal.ts";

/** A claim that a release needs, with the place in the file that asks for it. */
export interface ClaimWish {
  readonly key: string;
  readonly claim: PortClaim | RouteClaim | NameClaim;
  readonly service: string;
  /** `services.web.ports[0]` */
  readonly path: string;
}
export type PortClaim = Extract<Claim, { kind: "host-port" }>;
export type RouteClaim = Extract<Claim, { kind: "http-route" }>;
export type NameClaim = Extract<Claim, { kind: "tls-name" }>;

/** A place of the file and what is wrong there. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/** The key's word for "every address of the host". */
const ANY_ADDRESS = "*";
const ANY_ADDRESSES = new Set(["", "0.0.0.0", "::", "[::]", ANY_ADDRESS]);

/** In claims of names: the platform's HTTPS port, whatever its number is. */
export const HTTPS_PORT = 0;

/** One transaction must hold the release, its claims and those given up (128 operations). */
export const CLAIMS_PER_RELEASE_MAX = 60;

/** What the services need; ports without a published number need nothing yet. */
export function claimsOfServices(
  services: Readonly<Record<string, { readonly spec: ServiceSpec }>>,
): ClaimWish[] {
  return Object.entries(services).flatMap(([service, { spec }]) => [
    ...spec.ports.flatMap((port, index) => portWish(service, port, index)),
    ...spec.routes.flatMap((route, index) =>
      routeClaims(route).map((claim): ClaimWish => {
        const path = `services.${service}.routes[${index}]`;
        return { key: keys.claim(claim), claim, service, path };
      }),
    ),
    ...(spec.tcpRoutes ?? []).flatMap((route, index) =>
      tcpClaims(route).map((claim): ClaimWish => {
        const path = `services.${service}.tcpRoutes[${index}]`;
        return { key: keys.claim(claim), claim, service, path };
      }),
    ),
  ]);
}

/** One for each host and method: routes that share one of these in everything else exclude each other. */
function routeClaims(route: RouteSpec): RouteClaim[] {
  const { pathExact, pathRegex } = route;
  const kind = pathExact !== undefined ? "exact" : pathRegex !== undefined ? "regex" : "prefix";
  const path = pathExact ?? pathRegex ?? (route.path.replace(/\/+$/, "") || "/");
  const headers = (route.headers ?? [])
    .map(({ name, kind: how, value = "" }) => `${name.toLowerCase()} ${how} ${value}`)
    .sort();
  return routeHosts(route).flatMap((host) =>
    (route.methods ?? [""]).map((method): RouteClaim => {
      const isPlain = kind === "prefix" && method === "" && headers.length === 0;
      const conditions = [kind, method, ...headers].join("; ");
      const name = host.toLowerCase().replace(/\.$/, "");
      return { kind: "http-route", host: name, path, ...(isPlain ? {} : { conditions }) };
    }),
  );
}

function tcpClaims({ listen, hosts }: TcpRouteSpec): (PortClaim | NameClaim)[] {
  if (hosts !== undefined) {
    return hosts.map((host) => ({
      kind: "tls-name",
      port: listen ?? HTTPS_PORT,
      host: host.toLowerCase().replace(/\.$/, ""),
    }));
  }
  if (listen === undefined) return [];
  return [{ kind: "host-port", protocol: "tcp", address: ANY_ADDRESS, port: listen }];
}

export function claimsOfRelease(release: Release): ClaimWish[] {
  return claimsOfServices(release.services);
}

function portWish(service: string, port: PublishedPort, index: number): ClaimWish[] {
  if (port.published === undefined) return [];
  const address = port.hostAddress ?? ANY_ADDRESS;
  const claim: PortClaim = {
    kind: "host-port",
    protocol: port.protocol,
    address: ANY_ADDRESSES.has(address) ? ANY_ADDRESS : address,
    port: port.published,
  };
  return [{ key: keys.claim(claim), claim, service, path: `services.${service}.ports[${index}]` }];
}

/** `8080/tcp`, `127.0.0.1:8080/tcp`, `shop.example.com/api`, `db.example.com by TLS on port 5432` */
export function claimText(claim: ClaimWish["claim"]): string {
  if (claim.kind === "http-route") {
    const conditions = claim.conditions === undefined ? "" : ` (${claim.conditions})`;
    return `${claim.host}${claim.path}${conditions}`;
  }
  if (claim.kind === "tls-name") {
    return `${claim.host} by TLS on ${claim.port === HTTPS_PORT ? "the HTTPS port" : `port ${claim.port}`}`;
  }
  const address = claim.address === ANY_ADDRESS ? "" : `${claim.address}:`;
  return `${address}${claim.port}/${claim.protocol}`;
}

/** Whether two claims, not of one stack, exclude each other. */
export function claimsClash(a: ClaimWish["claim"], b: ClaimWish["claim"]): boolean {
  if (a.kind === "http-route" || b.kind === "http-route") {
    return keys.claim(a) === keys.claim(b);
  }
  if (a.kind === "tls-name") {
    if (b.kind === "tls-name") return a.port === b.port && a.host === b.host;
    return a.port === b.port && b.protocol === "tcp";
  }
  if (b.kind === "tls-name") return claimsClash(b, a);
  if (a.port !== b.port || a.protocol !== b.protocol) return false;
  return a.address === b.address || a.address === ANY_ADDRESS || b.address === ANY_ADDRESS;
}

/** Which wishes others hold already, naming the holder. Empty when all can be taken. */
export function claimProblems(
  view: ClusterView,
  scope: StackScope,
  wishes: readonly ClaimWish[],
  portsReserved: readonly number[],
): Problem[] {
  const own = stackKey(scope);
  const held = portsHeld(view, own);
  return wishes.flatMap((wish) => {
    const { claim, path } = wish;
    if (claim.kind !== "http-route" && portsReserved.includes(claim.port)) {
      return [{ path, message: `port ${claim.port} belongs to the platform itself` }];
    }
    const exact = view.claims.get(wish.key)?.value;
    const other = exact !== undefined && exact.stack !== own ? exact : undefined;
    const holder = other ?? held.find((each) => claimsClash(each.claim, claim))?.holder;
    if (holder === undefined) return [];
    const who = holder.service === undefined ? holder.stack : `${holder.stack}/${holder.service}`;
    return [{ path, message: `${claimText(claim)} belongs to ${who}` }];
  });
}

function portsHeld(view: ClusterView, own: string) {
  const held = (["host-port", "tls-name"] as const).flatMap((kind) =>
    view.claims.by("kind", kind satisfies Claim["kind"]),
  );
  return held.flatMap((entity) => {
    if (entity.value.stack === own) return [];
    const claim = heldClaim(entity.key);
    return claim === undefined ? [] : [{ claim, holder: entity.value }];
  });
}

function heldClaim(key: string): PortClaim | NameClaim | undefined {
  const [kind, first, second, third] = claimNameOf(key);
  if (first === undefined || second === undefined) return undefined;
  if (kind === "tls-name") return { kind, port: Number(first), host: second };
  if (third === undefined) return undefined;
  return { kind: "host-port", protocol: first, address: second, port: Number(third) };
}

/** The parts of a claim's key after `claim`, the kind first. */
export function claimNameOf(key: string): readonly string[] {
  return key.split("/").slice(3).map(decodeURIComponent);
}

type Put = Extract<Operation, { kind: "put" }>;

/** What takes the wishes that the stack does not hold yet; fails when somebody else was faster. */
export function takeClaims(
  view: ClusterView,
  scope: StackScope,
  wishes: readonly ClaimWish[],
): { readonly compare: Compare[]; readonly puts: Put[] } {
  const compare: Compare[] = [];
  const puts: Put[] = [];
  const own = stackKey(scope);
  for (const { key, service } of wishes) {
    const known = view.claims.get(key);
    compare.push(unchangedSince(key, known?.revision));
    if (known?.value.stack === own && known.value.service === service) continue;
    puts.push({ kind: "put", key, value: encode({ stack: own, service }) });
  }
  return { compare, puts };
}

/** Releases that a stack may go to by itself: what a rollout came from counts until it is over. */
export function liveReleaseNumbers(stack: Stack): number[] {
  const { rollout } = stack;
  const isOver = rollout?.state === "complete" || rollout?.state === "rolled-back";
  const numbers = [stack.release, stack.goodRelease, isOver ? undefined : rollout?.from];
  return [...new Set(numbers.filter((number) => number !== undefined && number > 0))] as number[];
}

/** The port and route claims of the stack that none of its live releases needs any more. */
export function unneededClaims(
  view: ClusterView,
  stack: Stack,
  live: readonly Release[],
): Entity<ClaimHolder>[] {
  const needed = new Set(live.flatMap((release) => claimsOfRelease(release).map(({ key }) => key)));
  const held = (["host-port", "http-route", "tls-name"] as const).flatMap((kind) =>
    view.claims.by("held", heldTerm(stackKey(stack), kind)),
  );
  return held.filter(({ key }) => !needed.has(key));
}
