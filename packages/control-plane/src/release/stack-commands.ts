/**
 * What a user may ask of a stack that exists: roll back, restart, scale, remove. Each is a decision over
 * the newest state that ends in one transaction or a refusal; controllers do the rest.
 *
 * Design page: docs/design/rollout.md.
 */

import {
  keys,
  type Release,
  type Rollout,
  runsOnEveryNode,
  type Scale,
  type ServiceScope,
  type Stack,
  type StackScope,
  stackKey,
} from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import { claimProblems, claimsOfRelease, takeClaims } from "./claims.ts";
import { dependantsOf, raised } from "./dependants.ts";
import { exclusiveReason } from "./exclusive.ts";
import { accept, type Decision, type Refusal, refuse, unchangedSince } from "./refusal.ts";

/** The stack, unless it does not exist or is being removed. */
function livingStack(view: ClusterView, scope: StackScope): Entity<Stack> | Refusal {
  const stack = view.stacks.get(keys.stack(scope));
  if (stack === undefined) return refuse("not_found", `there is no stack ${stackKey(scope)}`);
  if (stack.value.deleting !== undefined) {
    return refuse("conflict", `stack ${stackKey(scope)} is being removed`);
  }
  return stack;
}

function isRefusal(value: object): value is Refusal {
  return "kind" in value && value.kind === "refused";
}

export interface RollbackRequest {
  readonly scope: StackScope;
  /** The last good release before the current one by default. */
  readonly release?: number;
  readonly now: number;
}

/**
 * Moves a stack to an earlier release, by the update rules of that release.
 *
 * Claims that the stack has given up since are taken again; when somebody else has them now, it is refused
 * and nothing changes.
 */
export function rollbackStack(view: ClusterView, request: RollbackRequest): Decision<Stack> {
  const stack = livingStack(view, request.scope);
  if (isRefusal(stack)) return stack;
  const number = request.release ?? releaseBefore(stack.value);
  if (number === undefined) {
    return refuse("not_found", "there is no earlier good release to go back to");
  }
  if (number === stack.value.release) {
    return refuse("conflict", `release ${number} is the current one`);
  }
  const release = view.releases.get(keys.release(request.scope, number));
  if (release === undefined) return refuse("not_found", `release ${number} is not kept any more`);
  const wishes = claimsOfRelease(release.value);
  const problems = claimProblems(view, request.scope, wishes, []);
  if (problems[0] !== undefined) {
    return refuse("claim_taken", problems[0].message, { problems });
  }
  const value = movedTo(stack.value, release.value, request.now);
  const claims = takeClaims(view, request.scope, wishes);
  return accept(
    value,
    [unchangedSince(stack.key, stack.revision), ...claims.compare],
    [{ kind: "put", key: stack.key, value: encode(value) }, ...claims.puts],
  );
}

/** Where a rollback goes when nobody says: to the good release that the stack was at before. */
function releaseBefore(stack: Stack): number | undefined {
  const { goodRelease, release, rollout } = stack;
  if (goodRelease !== undefined && goodRelease !== release) return goodRelease;
  return rollout?.from === release ? undefined : rollout?.from;
}

/** A stack whose services begin to move to `release`. */
export function movedTo(stack: Stack, release: Release, now: number): Stack {
  const rollout: Rollout = {
    release: release.number,
    ...(stack.goodRelease === undefined ? {} : { from: stack.goodRelease }),
    state: "progressing",
    startedAt: now,
    progressAt: now,
  };
  const releaseMax = Math.max(stack.releaseMax, release.number);
  return { ...stack, release: release.number, releaseMax, rollout };
}

/** Has every copy of a service replaced, by its update rules, and then those that say that they follow it. */
export function restartService(view: ClusterView, scope: ServiceScope): Decision<Stack> {
  const stack = livingStack(view, scope);
  if (isRefusal(stack)) return stack;
  const unknown = unknownService(view, stack.value, scope.service);
  if (unknown !== undefined) return unknown;
  const release = view.releases.get(keys.release(scope, stack.value.release))?.value;
  const followers = release === undefined ? [] : dependantsOf(release, [scope.service]);
  const restarts = raised(stack.value.restarts, [scope.service, ...followers]);
  const value = { ...stack.value, restarts };
  const put = { kind: "put", key: stack.key, value: encode(value) } as const;
  return accept(value, [unchangedSince(stack.key, stack.revision)], [put]);
}

function unknownService(view: ClusterView, stack: Stack, service: string): Refusal | undefined {
  const release = view.releases.get(keys.release(stack, stack.release))?.value;
  if (release !== undefined && Object.hasOwn(release.services, service)) return undefined;
  return refuse("not_found", `stack ${stackKey(stack)} has no service ${service}`, {
    services: Object.keys(release?.services ?? {}),
  });
}

export interface ScaleRequest {
  readonly scope: ServiceScope;
  readonly copies: number;
  readonly source: "user" | "autoscaler";
}

/** Sets the number of copies until the file's number changes. */
export function scaleService(view: ClusterView, request: ScaleRequest): Decision<Scale> {
  const { scope, copies } = request;
  const stack = livingStack(view, scope);
  if (isRefusal(stack)) return stack;
  const unknown = unknownService(view, stack.value, scope.service);
  if (unknown !== undefined) return unknown;
  const release = view.releases.get(keys.release(scope, stack.value.release))?.value;
  const service = release?.services[scope.service];
  if (release === undefined || service === undefined) {
    return refuse("not_found", `release ${stack.value.release} is not there`);
  }
  const reason = cannotScale(release, scope.service, copies);
  if (reason !== undefined) return refuse("invalid_stack", reason, { copies });
  const key = keys.scale(scope);
  const value: Scale = {
    project: scope.project,
    environment: scope.environment,
    stack: scope.stack,
    service: scope.service,
    value: copies,
    source: request.source,
    fileValue: service.spec.copies,
  };
  const known = view.scales.get(key);
  return accept(
    value,
    [unchangedSince(stack.key, stack.revision), unchangedSince(key, known?.revision)],
    [{ kind: "put", key, value: encode(value) }],
  );
}

function cannotScale(release: Release, service: string, copies: number): string | undefined {
  const spec = release.services[service]?.spec;
  if (spec === undefined) return undefined;
  if (runsOnEveryNode(spec)) return `${service} is global: the nodes decide how many copies run`;
  if (spec.podWith !== undefined) {
    return `${service} shares a pod with ${spec.podWith}: scale that service instead`;
  }
  if (copies <= 1) return undefined;
  const reason = exclusiveReason(release, service);
  if (reason === undefined || reason.perCopy) return undefined;
  return `${service} cannot have ${copies} copies: ${reason.text}`;
}

export interface RemovalRequest {
  readonly scope: StackScope;
  /** Names of volumes that go too; the others stay. */
  readonly volumes: readonly string[];
  readonly now: number;
}

/** Begins the removal of a stack: everything stops, then goes, then the stack itself. */
export function removeStack(view: ClusterView, request: RemovalRequest): Decision<Stack> {
  const { scope, now } = request;
  const stack = view.stacks.get(keys.stack(scope));
  if (stack === undefined) return refuse("not_found", `there is no stack ${stackKey(scope)}`);
  const known = new Set(
    view.volumes.by("stack", stackKey(scope)).map((volume) => volume.value.name),
  );
  const missing = request.volumes.filter((name) => !known.has(name));
  if (missing.length > 0) {
    const message = `stack ${stackKey(scope)} has no volume ${missing.join(", ")}`;
    return refuse("not_found", message, { missing, volumes: [...known] });
  }
  const used = networkUsers(view, scope);
  if (used.length > 0) {
    const message = `its networks are used by ${used.join(", ")}`;
    return refuse("still_in_use", `stack ${stackKey(scope)} cannot go: ${message}`, {
      users: used,
    });
  }
  const before = stack.value.deleting;
  const volumes = [...new Set([...(before?.volumes ?? []), ...request.volumes])].sort();
  const value: Stack = { ...stack.value, deleting: { at: before?.at ?? now, volumes } };
  const put = { kind: "put", key: stack.key, value: encode(value) } as const;
  return accept(value, [unchangedSince(stack.key, stack.revision)], [put]);
}

/** Services of other stacks that have joined a network of this one. */
function networkUsers(view: ClusterView, scope: StackScope): string[] {
  const own = new Set(
    view.networks.by("stack", stackKey(scope)).map((network) => network.value.id),
  );
  const users = new Set<string>();
  for (const { value: task } of view.tasks.by(
    "environment",
    `${scope.project}/${scope.environment}`,
  )) {
    if (task.stack === scope.stack || task.desired === "stopped") continue;
    if (task.attachments.some(({ networkId }) => own.has(networkId))) {
      users.add(`${task.stack}/${task.service}`);
    }
  }
  return [...users].sort();
}
