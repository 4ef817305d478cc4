/**
 * What is left behind by tasks that are gone: claims to free, rows to forget, networks that nobody needs.
 *
 * Invariants: an exclusive volume is free only when the end of its holder is confirmed (or a verdict was
 * given); an address only when the removal is confirmed, and then after a quarantine; the record of a job
 * that was completed stays as long as a release that may run again refers to its template, because it is
 * what says that the job need not run again. Pure; cost: O(tasks + claims of the stack).
 */

import {
  type Claim,
  isFinal,
  keys,
  type Release,
  type Stack,
  stackKey,
  type Task,
} from "@berth/protocol";
import { overlayClaimOf } from "../addresses/overlay-ids.ts";
import { Unit } from "../plan/unit.ts";
import { claimNameOf, liveReleaseNumbers, unneededClaims } from "../release/claims.ts";
import { stepOfRemoval } from "../release/network-removal.ts";
import { networkRoot } from "../release/network-root.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClaimHolder } from "../state/claim-holder.ts";
import { type ClusterView, heldTerm, nodeAddressTerm } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import { statusOf } from "../state/status-of.ts";
import { attachedNodes, isAttached } from "./attached-nodes.ts";
import { ingressNodes, routedNetworks } from "./ingress-nodes.ts";
import { earliest } from "./reconcile-service.ts";
import { liveHolders } from "./resource-waits.ts";

export interface Tidying {
  readonly units: readonly Unit[];
  readonly nextLookAtMs?: number;
}

export type TidySettings = Pick<
  ControlPlaneSettings,
  "addressQuarantineMs" | "endedTasksKept" | "lostTaskAgeMs"
>;

/** What to clean up for a stack. */
export function tidyStack(
  view: ClusterView,
  entity: Entity<Stack>,
  now: number,
  settings: TidySettings,
): Tidying {
  const stack = entity.value;
  const claims = tidyClaims(view, stack, now, settings);
  const units = [
    ...claims.units,
    ...tidyTasks(view, stack, now, settings),
    ...endRemovals(view, stack),
    ...tidyNetworks(view, stack),
    ...dropClaims(view, entity),
  ];
  const { nextLookAtMs } = claims;
  return { units, ...(nextLookAtMs === undefined ? {} : { nextLookAtMs }) };
}

function tidyClaims(view: ClusterView, stack: Stack, now: number, settings: TidySettings): Tidying {
  const units: Unit[] = [];
  const looks: (number | undefined)[] = [];
  const addresses = claimsHeld(view, stack, "address");
  const spans = addresses.some(({ value }) => value.node !== undefined);
  const attached = spans ? nodesAttached(view, stack) : NONE;
  for (const claim of addresses) {
    const unit = new Unit();
    const isHeld = isAddressHeld(view, claim, attached);
    looks.push(tidyAddress(claim, isHeld, { now, settings, unit }));
    if (!unit.isEmpty) units.push(unit);
  }
  for (const kind of ["exclusive-volume", "slot"] as const) {
    for (const claim of claimsHeld(view, stack, kind)) {
      if (liveHolders(view, claim.value).length === 0) units.push(deletion(claim));
    }
  }
  const needed = serviceAddressesNeeded(view, stack);
  for (const claim of claimsHeld(view, stack, "service-address")) {
    if (!needed.has(serviceOnNetwork(claim.value))) units.push(deletion(claim));
  }
  const nextLookAtMs = earliest(looks);
  return { units, ...(nextLookAtMs === undefined ? {} : { nextLookAtMs }) };
}

/**
 * Service and network, of every live release that has it there. Tasks need none: open connections live on in
 * the kernels, and new ones are for what is declared.
 */
function serviceAddressesNeeded(view: ClusterView, stack: Stack): ReadonlySet<string> {
  const needed = new Set<string>();
  for (const release of liveReleases(view, stack)) {
    for (const [service, { spec }] of Object.entries(release.services)) {
      const root = spec.endpointMode === "vip" ? networkRoot(release, spec) : undefined;
      for (const name of Object.keys(root?.networks ?? {})) {
        const { external } = release.networks[name] ?? {};
        const owner = external === undefined ? stack : { ...stack, ...external };
        const network = view.networks.get(keys.network(owner, external?.name ?? name))?.value.id;
        if (network !== undefined) needed.add(serviceOnNetwork({ service, network }));
      }
    }
  }
  return needed;
}

function serviceOnNetwork({ service, network }: Pick<ClaimHolder, "service" | "network">): string {
  return `${service} ${network}`;
}

function claimsHeld(view: ClusterView, stack: Stack, kind: Claim["kind"]) {
  return view.claims.by("held", heldTerm(stackKey(stack), kind));
}

function deletion({ key, revision }: Entity<ClaimHolder>): Unit {
  const unit = new Unit();
  unit.expect(key, revision);
  unit.delete(key);
  return unit;
}

const NONE: ReadonlySet<string> = new Set();

/** By a task until its end is confirmed; by a node while a task of its is attached, or routes need it. */
function isAddressHeld(
  view: ClusterView,
  { key, value }: Entity<ClaimHolder>,
  attached: ReadonlySet<string>,
): boolean {
  const { node, tasks = [] } = value;
  if (node === undefined) return tasks.some((id) => isAttached(view, id));
  return attached.has(nodeAddressTerm(claimNameOf(key)[1] ?? "", node));
}

/** Begins the quarantine of an address, or ends it. Returns when to look again. */
function tidyAddress(
  claim: Entity<ClaimHolder>,
  isHeld: boolean,
  context: { readonly now: number; readonly settings: TidySettings; readonly unit: Unit },
): number | undefined {
  const { now, settings, unit } = context;
  const { freeAt, ...holder } = claim.value;
  if (freeAt !== undefined && isHeld && holder.node !== undefined) {
    // A task came to the node in the moment in which its address was given up.
    unit.expect(claim.key, claim.revision);
    unit.put(claim.key, encode(holder));
    return undefined;
  }
  if (freeAt === undefined) {
    if (isHeld) return undefined;
    unit.expect(claim.key, claim.revision);
    unit.put(claim.key, encode({ ...claim.value, freeAt: now + settings.addressQuarantineMs }));
    return undefined;
  }
  if (freeAt > now) return freeAt;
  unit.expect(claim.key, claim.revision);
  unit.delete(claim.key);
  return undefined;
}

/** `network node` of every node that takes part in a network of the stack: by a task, or for its routes. */
function nodesAttached(view: ClusterView, stack: Stack): ReadonlySet<string> {
  const attached = new Set<string>();
  const routed = routedNetworks(view, stack);
  const forRoutes = routed.size === 0 ? NONE : ingressNodes(view);
  for (const { value: network } of view.networks.by("stack", stackKey(stack))) {
    const nodes = attachedNodes(view, network.id);
    for (const node of nodes) attached.add(nodeAddressTerm(network.id, node));
    if (!routed.has(network.id)) continue;
    for (const node of forRoutes) attached.add(nodeAddressTerm(network.id, node));
  }
  return attached;
}

/** Forgets ended tasks beyond the history of their slot, and lost ones whose node does not return. */
function tidyTasks(view: ClusterView, stack: Stack, now: number, settings: TidySettings): Unit[] {
  const templates = templatesToRemember(view, stack);
  const ended = new Map<string, Entity<Task>[]>();
  const forgotten: Entity<Task>[] = [];
  for (const entity of view.tasks.by("stack", stackKey(stack))) {
    const task = entity.value;
    const status = statusOf(view, task.id);
    if (status === undefined || !isFinal(status.state)) {
      const lostFor = task.verdict === undefined ? 0 : now - task.verdict.at;
      if (lostFor > settings.lostTaskAgeMs) forgotten.push(entity);
      continue;
    }
    if (status.outcome === "complete" && templates.has(templateKey(task))) continue;
    const slot = `${task.service}/${task.slot}`;
    const list = ended.get(slot) ?? [];
    ended.set(slot, list);
    list.push(entity);
  }
  for (const list of ended.values()) {
    const newestFirst = list.sort((a, b) => b.value.createdAt - a.value.createdAt);
    forgotten.push(...newestFirst.slice(settings.endedTasksKept));
  }
  return forgotten.map(forgetTask);
}

/** Deletes a task with its status. */
export function forgetTask({ key, revision, value }: Entity<Task>): Unit {
  const unit = new Unit();
  unit.expect(key, revision);
  unit.delete(key);
  unit.delete(keys.status(value, value.id));
  return unit;
}

function templatesToRemember(view: ClusterView, stack: Stack): Set<string> {
  const services = liveReleases(view, stack).flatMap((release) => Object.entries(release.services));
  return new Set(services.map(([service, { template }]) => templateKey({ service, template })));
}

function templateKey({
  service,
  template,
}: {
  readonly service: string;
  readonly template: string;
}) {
  return `${service}/${template}`;
}

/** The releases that a stack may go to by itself, as far as they are there. */
function liveReleases(view: ClusterView, stack: Stack): Release[] {
  return liveReleaseNumbers(stack).flatMap(
    (number) => view.releases.get(keys.release(stack, number))?.value ?? [],
  );
}

/** Gives up ports and routes that no live release needs, unless the stack moves in this moment. */
function dropClaims(view: ClusterView, { key, revision, value: stack }: Entity<Stack>): Unit[] {
  return unneededClaims(view, stack, liveReleases(view, stack)).map((claim) => {
    const unit = new Unit();
    unit.expect(key, revision);
    unit.expect(claim.key, claim.revision);
    unit.delete(claim.key);
    return unit;
  });
}

/** Ends removals of networks that were cut off: a person's, who has gone or got no answer. */
function endRemovals(view: ClusterView, stack: Stack): Unit[] {
  return view.networks
    .by("stack", stackKey(stack))
    .filter(({ value }) => value.removing === true)
    .map((network) => stepOfRemoval(view, network).unit);
}

/** Networks that no live release declares and no task is attached to. */
function tidyNetworks(view: ClusterView, stack: Stack): Unit[] {
  const declared = new Set(
    liveReleases(view, stack).flatMap((release) => Object.keys(release.networks)),
  );
  return view.networks
    .by("stack", stackKey(stack))
    .filter(({ value }) => !declared.has(value.name) && value.removing !== true)
    .filter(({ value }) => view.claims.by("network", value.id).length === 0)
    .map((network) => {
      const unit = new Unit();
      unit.expect(network.key, network.revision);
      unit.delete(network.key);
      unit.delete(keys.claim({ kind: "subnet", subnet: network.value.subnet }));
      const overlay = overlayClaimOf(view, network.value.id);
      if (overlay !== undefined) unit.delete(overlay.key);
      return unit;
    });
}
