/**
 * Which certificates a node needs: those of the routes that it answers, which are those of its tasks and, where it is
 * one of the nodes for requests from outside, all in the networks that it is in for them. Pure; what it does not list, the
 * node's agent is not given and forgets.
 */

import { createHash } from "node:crypto";
import { type Certificate, keys, type Task } from "@berth/protocol";
import { ingressNetwork, servesRoutes } from "../reconcile/ingress-nodes.ts";
import { claimNameOf } from "../release/claims.ts";
import { specOfTask } from "../release/spec-of-task.ts";
import { type ClusterView, environmentOf } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { CLUSTER, chosenCertificate, DEFAULT_NAME, type TlsRoute, tlsRoutesOf } from "./choose.ts";

/** A certificate and the hosts of routes that it serves on the node. */
export interface Need {
  readonly id: string;
  readonly certificate: Entity<Certificate>;
  readonly hosts: readonly string[];
  /** For clients that name no host of ours. */
  readonly isDefault: boolean;
}

/** Digits of an identifier: no two certificates of a cluster meet. */
const ID_HEX_CHARS = 16;

/** Stable over renewals; safe as a file's name. */
export function certificateId(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, ID_HEX_CHARS);
}

/** Everything that `node` serves with, in order of identifier. */
export function needsOfNode(view: ClusterView, node: string): Need[] {
  const hosts = new Map<string, TlsRoute>();
  for (const route of routesAt(view, node)) {
    const known = hosts.get(route.host);
    if (known === undefined || decides(route, known)) hosts.set(route.host, route);
  }
  const needs = new Map<string, Need>();
  for (const [host, route] of [...hosts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const certificate = chosenCertificate(view, route, host);
    if (certificate !== undefined) add(needs, certificate, [host], false);
  }
  const fallback = view.certificates.get(keys.certificate(CLUSTER, DEFAULT_NAME));
  if (fallback !== undefined && hosts.size > 0) add(needs, fallback, [], true);
  return [...needs.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function* routesAt(view: ClusterView, node: string): Iterable<TlsRoute> {
  for (const { value: task } of view.tasks.by("node", node)) {
    if (isOver(view, task)) continue;
    const release = specOfTask(view, task)?.release;
    const network = release && ingressNetwork(view, release, task.service);
    if (network !== undefined && servesRoutes(view, network, node) === false) continue;
    yield* routesOfTask(view, task);
  }
  const networks = new Set(
    view.claims
      .by("node", node)
      .filter(({ value }) => value.ingress === true && value.freeAt === undefined)
      .map(({ key }) => claimNameOf(key)[1]),
  );
  if (networks.size === 0) return;
  for (const { value: stack } of view.stacks.all()) {
    const release = view.releases.get(keys.release(stack, stack.release))?.value;
    if (release === undefined || stack.deleting !== undefined) continue;
    for (const [service, { spec }] of Object.entries(release.services)) {
      const routes = tlsRoutesOf({ ...stack, service }, spec.routes);
      if (routes.length === 0) continue;
      const network = ingressNetwork(view, release, service);
      if (network !== undefined && networks.has(network)) yield* routes;
    }
  }
}

function add(
  needs: Map<string, Need>,
  certificate: Entity<Certificate>,
  hosts: readonly string[],
  isDefault: boolean,
): void {
  const id = certificateId(certificate.key);
  const known = needs.get(id);
  needs.set(id, {
    id,
    certificate,
    hosts: [...(known?.hosts ?? []), ...hosts],
    isDefault: isDefault || (known?.isDefault ?? false),
  });
}

function isOver(view: ClusterView, task: Task): boolean {
  const [status] = view.statuses.by("task", task.id);
  return status?.value.state === "ended" || status?.value.state === "removed";
}

function routesOfTask(view: ClusterView, task: Task): TlsRoute[] {
  return tlsRoutesOf(task, specOfTask(view, task)?.service.spec.routes ?? []);
}

/**
 * Two environments may share a host by paths, but TLS is there before the path: whoever has the shorter
 * one, so the host's root, decides about its certificate.
 */
function decides(route: TlsRoute, known: TlsRoute): boolean {
  if (route.path.length !== known.path.length) return route.path.length < known.path.length;
  return environmentOf(route) < environmentOf(known);
}
