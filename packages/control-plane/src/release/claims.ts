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
  type ServiceSpec,
  type Stack,
  type StackScope,
  stackKey,
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
  readonly claim: PortClaim | RouteClaim;
  readonly service: string;
  /** `services.web.ports[0]` */
  readonly path: string;
}
export type PortClaim = Extract<Claim, { kind: "host-port" }>;
export type RouteClaim = Extract<Claim, { kind: "http-route" }>;

/** A place of the file and what is wrong there. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/** The key's word for "every address of the host". */
const ANY_ADDRESS = "*";
const ANY_ADDRESSES = new Set(["", "0.0.0.0", "::", "[::]", ANY_ADDRESS]);

/** One transaction must hold the release, its claims and those given up (128 operations). */
export const CLAIMS_PER_RELEASE_MAX = 60;

/** What the services need; ports without a published number need nothing yet. */
export function claimsOfServices(
  services: Readonly<Record<string, { readonly spec: ServiceSpec }>>,
): ClaimWish[] {
  return Object.entries(services).flatMap(([service, { spec }]) => [
    ...spec.ports.flatMap((port, index) => portWish(service, port, index)),
    ...spec.routes.map((route, index): ClaimWish => {
      const claim = { kind: "http-route", host: route.host, path: route.path } as const;
      const path = `services.${service}.routes[${index}]`;
      return { key: keys.claim(claim), claim, service, path };
    }),
  ]);
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

/** `8080/tcp`, `127.0.0.1:8080/tcp`, `shop.example.com/api` */
export function claimText(claim: PortClaim | RouteClaim): string {
  if (claim.kind === "http-route") return `${claim.host}${claim.path}`;
  const address = claim.address === ANY_ADDRESS ? "" : `${claim.address}:`;
  return `${address}${claim.port}/${claim.protocol}`;
}

/** Whether two claims, not of one stack, exclude each other. */
export function claimsClash(a: ClaimWish["claim"], b: ClaimWish["claim"]): boolean {
  if (a.kind === "http-route") {
    return b.kind === "http-route" && a.host === b.host && a.path === b.path;
  }
  if (b.kind === "http-route") return false;
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
    if (claim.kind === "host-port" && portsReserved.includes(claim.port)) {
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
  return view.claims.by("kind", "host-port" satisfies Claim["kind"]).flatMap((entity) => {
    const [, protocol, address, port] = claimNameOf(entity.key);
    if (entity.value.stack === own) return [];
    if (protocol === undefined || address === undefined || port === undefined) return [];
    const claim: PortClaim = { kind: "host-port", protocol, address, port: Number(port) };
    return [{ claim, holder: entity.value }];
  });
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
  const held = (["host-port", "http-route"] as const).flatMap((kind) =>
    view.claims.by("held", heldTerm(stackKey(stack), kind)),
  );
  return held.filter(({ key }) => !needed.has(key));
}
