/**
 * The next step of a pending deployment, by an ordered table: resolve its images on a node, wait, fail, or
 * become a release. Pure; the deployment controller commits what is returned.
 *
 * A release, its claims, and the stack that moves to it are one transaction. The spec of a deployment that
 * is over lives on in the release: the row is emptied, so that history stays small.
 */

import { isDeepStrictEqual } from "node:util";
import {
  type Deployment,
  fullReference,
  type ImageWish,
  keys,
  type NodeStatus,
  type Operation,
  type PinnedImage,
  type Release,
  type Stack,
  stackKey,
} from "@berth/protocol";
import { Unit } from "../plan/unit.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import { claimProblems, claimsOfRelease, takeClaims } from "./claims.ts";
import { raised, restartedByMove } from "./dependants.ts";
import { chooseHostPorts, newHostPorts } from "./host-ports.ts";
import { imagesAhead } from "./images-ahead.ts";
import { makeRelease, sameContent } from "./make-release.ts";
import { restartsOfRetry } from "./retry.ts";
import { movedTo } from "./stack-commands.ts";

export interface StepInput {
  readonly view: ClusterView;
  readonly deployment: Entity<Deployment>;
  readonly now: number;
  readonly newId: () => string;
  readonly settings: Pick<
    ControlPlaneSettings,
    "publishedPorts" | "portsReserved" | "ingressHttpPort"
  >;
}

/** What to write now; `undefined` while something is waited for. */
export function deploymentStep(input: StepInput): Unit | undefined {
  for (const rule of RULES) {
    const result = rule(input);
    if (result !== undefined) return result === "wait" ? undefined : result;
  }
  return undefined;
}

const RULES: readonly ((input: StepInput) => StepResult)[] = [
  superseded,
  removed,
  operationFailed,
  fetchFailed,
  fetching,
  fetch,
  released,
  resolving,
  resolve,
];

type StepResult = Unit | "wait" | undefined;

/** Of two deployments the later one counts, whichever has its images first. */
function superseded({ view, deployment }: StepInput): StepResult {
  const own = deployment.value;
  const newer = view.deployments
    .by("stack", stackKey(own))
    .find(
      ({ value }) =>
        value.createdAt > own.createdAt || (value.createdAt === own.createdAt && value.id > own.id),
    );
  if (newer === undefined) return undefined;
  const message = `a newer deployment (${newer.value.id}) of the stack was accepted`;
  return failed(deployment, "conflict", message, {});
}

function removed({ view, deployment }: StepInput): StepResult {
  const stack = view.stacks.get(keys.stack(deployment.value));
  if (stack?.value.deleting === undefined) return undefined;
  return failed(deployment, "conflict", "the stack is being removed", {});
}

function operationOf({ view, deployment }: StepInput): Entity<Operation> | undefined {
  const { operation } = deployment.value;
  return operation === undefined ? undefined : view.operations.by("id", operation)[0];
}

function operationFailed(input: StepInput): StepResult {
  const operation = operationOf(input)?.value;
  if (operation?.state !== "failed") return undefined;
  const { code, message, details } = operation.error ?? {
    code: "engine_error",
    message: `${operation.node} could not get the images`,
    details: {},
  };
  return failed(input.deployment, code, message, details);
}

/** The operation is under way on a node that can be reached. */
function resolving(input: StepInput): StepResult {
  const operation = operationOf(input)?.value;
  if (operation === undefined || operation.state === "done") return undefined;
  return isUp(input.view, operation.node) ? "wait" : undefined;
}

/** Has the images resolved on a node; again on another one when the first is lost. */
function resolve(input: StepInput): StepResult {
  const { view, deployment, now, newId, settings } = input;
  const wishes = imageWishes(deployment.value);
  const node = nodeWithMost(view, wishes);
  if (node === undefined) return "wait";
  const { project, environment, stack } = deployment.value;
  const operation: Operation = {
    id: newId(),
    project,
    environment,
    stack,
    node,
    createdAt: now,
    input: {
      kind: "resolve-images",
      images: wishes,
      ports: newHostPorts(view, deployment.value, settings),
    },
    state: "pending",
    updatedAt: now,
  };
  const unit = new Unit();
  const before = operationOf(input);
  if (before !== undefined) unit.delete(before.key);
  unit.put(keys.operation(node, operation.id), encode(operation));
  write(unit, deployment, { ...deployment.value, operation: operation.id });
  return unit;
}

function isUp(view: ClusterView, name: string): boolean {
  const isInContact = view.nodes.get(keys.node(name))?.value.contact === "up";
  return isInContact && statusOfNode(view, name)?.engine.reachable === true;
}

function statusOfNode(view: ClusterView, name: string): NodeStatus | undefined {
  return view.nodeStatuses.get(keys.nodeStatus(name))?.value;
}

/** Where most of the images are that no build makes; the first by name of equals. Draining nodes too. */
function nodeWithMost(view: ClusterView, wishes: readonly ImageWish[]): string | undefined {
  const wanted = wishes
    .filter(({ build, policy }) => build === undefined || policy === "never")
    .map(({ reference }) => fullReference(reference));
  let best: { readonly name: string; readonly count: number } | undefined;
  for (const { value } of view.nodes.all()) {
    if (!isUp(view, value.name)) continue;
    const names = new Set(
      (statusOfNode(view, value.name)?.images ?? []).flatMap((image) =>
        image.names.map(fullReference),
      ),
    );
    const count = wanted.filter((reference) => names.has(reference)).length;
    // A node that is emptied is asked only for what no other has.
    if (count === 0 && value.availability !== "active") continue;
    if (best === undefined || count > best.count) best = { name: value.name, count };
  }
  return best?.name;
}

const POLICY_ORDER = ["never", "missing", "always", "build"] as const;

/** Each reference once, with the most eager policy that a service asks for. */
function imageWishes(deployment: Pick<Deployment, "spec">): ImageWish[] {
  const wishes = new Map<string, ImageWish>();
  for (const [service, spec] of Object.entries(deployment.spec.services)) {
    const known = wishes.get(spec.image);
    const policy = known === undefined ? spec.pullPolicy : moreEager(known.policy, spec.pullPolicy);
    const build = known?.build ?? spec.build;
    const pullEveryMs = shorter(known?.pullEveryMs, spec.pullEveryMs);
    wishes.set(spec.image, {
      reference: spec.image,
      policy,
      ...(pullEveryMs === undefined ? {} : { pullEveryMs }),
      ...(build === undefined ? {} : { build }),
      services: [...(known?.services ?? []), service],
    });
  }
  return [...wishes.values()];
}

function shorter(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function moreEager(a: ImageWish["policy"], b: ImageWish["policy"]): ImageWish["policy"] {
  return POLICY_ORDER.indexOf(a) > POLICY_ORDER.indexOf(b) ? a : b;
}

/** The images of a release that is about to be, once they are known. */
function knownImages(input: StepInput): Readonly<Record<string, PinnedImage>> | undefined {
  const operation = operationOf(input)?.value;
  return operation?.state === "done" ? (operation.images ?? {}) : undefined;
}

function fetchesOf({ view, deployment }: StepInput): Operation[] {
  return (deployment.value.fetches ?? []).flatMap((id) =>
    view.operations.by("id", id).map(({ value }) => value),
  );
}

/** Nothing was stopped for an image that cannot be had. */
function fetchFailed(input: StepInput): StepResult {
  const over = fetchesOf(input).find(({ state }) => state === "failed");
  if (over === undefined) return undefined;
  const { code, message, details } = over.error ?? {
    code: "engine_error",
    message: "the images did not come",
    details: {},
  };
  return failed(input.deployment, code, `node ${over.node}: ${message}`, details);
}

/** A node that was lost meanwhile is not waited for: its copies have other troubles. */
function fetching(input: StepInput): StepResult {
  const isOpen = ({ state, node }: Operation) =>
    (state === "pending" || state === "running") && isUp(input.view, node);
  return fetchesOf(input).some(isOpen) ? "wait" : undefined;
}

/** Has images brought to the nodes whose copies are stopped before their successors start. */
function fetch(input: StepInput): StepResult {
  const { view, deployment, now, newId } = input;
  const images = knownImages(input);
  if (images === undefined || deployment.value.fetches !== undefined) return undefined;
  const { project, environment, stack } = deployment.value;
  const wanted = imagesAhead(view, deployment.value, images);
  if (wanted.size === 0) return undefined;
  const unit = new Unit();
  const fetches: string[] = [];
  for (const [node, missing] of wanted) {
    const id = newId();
    fetches.push(id);
    const operation: Operation = {
      ...{ id, project, environment, stack, node },
      createdAt: now,
      input: { kind: "fetch-images", images: missing },
      state: "pending",
      updatedAt: now,
    };
    unit.put(keys.operation(node, id), encode(operation));
  }
  write(unit, deployment, { ...deployment.value, fetches });
  return unit;
}

/** The images are there: a release, or nothing new. */
function released(input: StepInput): StepResult {
  const { view, deployment, now, settings } = input;
  const operation = operationOf(input)?.value;
  if (operation?.state !== "done") return undefined;
  const missing = imageWishes(deployment.value).find(
    ({ reference }) => operation.images?.[reference] === undefined,
  );
  if (missing !== undefined) {
    const message = `${operation.node} did not say what ${missing.reference} is`;
    return failed(deployment, "image_unavailable", message, { image: missing.reference });
  }
  const stack = view.stacks.get(keys.stack(deployment.value));
  const current = stack && view.releases.get(keys.release(stack.value, stack.value.release))?.value;
  const release = makeRelease({
    deployment: deployment.value,
    images: operation.images ?? {},
    number: (stack?.value.releaseMax ?? 0) + 1,
    now,
    current,
    choosePort: chooseHostPorts(view, settings),
  });
  if (stack !== undefined && current !== undefined && isUnchanged(stack.value, current, release)) {
    return unchanged(deployment, stack, current);
  }
  return commitRelease(input, stack, { release, current });
}

/** A release that failed is tried again even when nothing has changed in the file. */
function isUnchanged(stack: Stack, current: Release, release: Release): boolean {
  const state = stack.rollout?.state;
  if (state === "failed" || state === "paused") return false;
  return sameContent(current, release);
}

function unchanged(deployment: Entity<Deployment>, stack: Entity<Stack>, current: Release): Unit {
  const unit = new Unit();
  unit.expect(stack.key, stack.revision);
  const { number } = current;
  write(unit, deployment, { ...emptied(deployment.value), state: "unchanged", release: number });
  return unit;
}

function commitRelease(
  { view, deployment, now, settings }: StepInput,
  stack: Entity<Stack> | undefined,
  { release, current }: { readonly release: Release; readonly current: Release | undefined },
): Unit {
  const scope = deployment.value;
  const wishes = claimsOfRelease(release);
  const problems = [
    ...claimProblems(view, scope, wishes, settings.portsReserved),
    ...portlessProblems(release, settings),
  ];
  if (problems[0] !== undefined) {
    return failed(deployment, "claim_taken", problems[0].message, { problems });
  }
  const before = stack?.value ?? newStack(deployment.value, now);
  const followers = current === undefined ? [] : restartedByMove(current, release);
  const restarts = raised(restartsOfRetry(view, before, release), followers);
  const next = movedTo({ ...before, restarts }, release, now);
  const unit = new Unit();
  const stackRow = keys.stack(scope);
  unit.expect(stackRow, stack?.revision);
  unit.put(stackRow, encode(next));
  const releaseRow = keys.release(scope, release.number);
  unit.expect(releaseRow, undefined);
  unit.put(releaseRow, encode(release));
  const claims = takeClaims(view, scope, wishes);
  for (const compare of claims.compare) unit.compare.set(compare.key, compare);
  for (const { key, value } of claims.puts) unit.put(key, value);
  followFile(view, release, unit);
  const { number } = release;
  write(unit, deployment, { ...emptied(scope), state: "released", release: number });
  return unit;
}

/** Ports that were left to the platform, which had none left in the range that counts. */
function portlessProblems(
  release: Release,
  { publishedPorts }: StepInput["settings"],
): { readonly path: string; readonly message: string }[] {
  return Object.entries(release.services).flatMap(([name, { spec }]) =>
    spec.ports.flatMap(({ published, publishedRange, protocol }, index) => {
      if (published !== undefined) return [];
      const { first, last } = publishedRange ?? {
        first: publishedPorts.min,
        last: publishedPorts.max,
      };
      const path = `services.${name}.ports[${index}]`;
      return [{ path, message: `no ${protocol} port of ${first}-${last} is free` }];
    }),
  );
}

/** A number that was set by hand holds until the file's number changes or the service goes. */
function followFile(view: ClusterView, release: Release, unit: Unit): void {
  for (const { key, revision, value } of view.scales.by("stack", stackKey(release))) {
    const copies = release.services[value.service]?.spec.copies;
    if (copies === value.fileValue) continue;
    unit.expect(key, revision);
    unit.delete(key);
  }
}

function newStack(deployment: Deployment, now: number): Stack {
  const { project, environment, stack } = deployment;
  return { project, environment, stack, createdAt: now, release: 0, releaseMax: 0, restarts: {} };
}

function failed(
  deployment: Entity<Deployment>,
  code: string,
  message: string,
  details: unknown,
): Unit {
  const unit = new Unit();
  const error = { code, message, details };
  write(unit, deployment, { ...emptied(deployment.value), state: "failed", error });
  return unit;
}

const NO_SPEC = { services: {}, networks: {}, volumes: {}, configs: {} } as const;

function emptied(deployment: Deployment): Deployment {
  return { ...deployment, spec: NO_SPEC, secrets: {} };
}

function write(unit: Unit, deployment: Entity<Deployment>, value: Deployment): void {
  if (isDeepStrictEqual(deployment.value, value)) return;
  unit.expect(deployment.key, deployment.revision);
  unit.put(deployment.key, encode(value));
}
