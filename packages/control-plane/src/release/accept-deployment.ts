/**
 * Whether a stack file may become a release: everything that can be known before its images are, looked at
 * in one go, so that a deployment that is accepted fails only for its images.
 *
 * Nothing is changed but that the deployment is recorded; the deployment controller goes on from there.
 * Claims are checked here for an early, clear answer and taken later, with the release.
 */

import {
  type Deployment,
  keys,
  type PinnedSpec,
  type SecretVersion,
  type StackScope,
  stackKey,
} from "@berth/protocol";
import { formatSubnet, parseSubnet, subnetsOverlap } from "../addresses/subnet.ts";
import { takenRanges } from "../addresses/taken-ranges.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import { VALUE_BYTES_MAX } from "../store/limits.ts";
import { CLAIMS_PER_RELEASE_MAX, claimProblems, claimsOfServices, type Problem } from "./claims.ts";
import { policyOf, policyProblems } from "./policy.ts";
import { accept, type Decision, type Refusal, refuse, unchangedSince } from "./refusal.ts";
import { validateSpec } from "./validate-spec.ts";

type RangeSettings = Pick<ControlPlaneSettings, "clusterRange" | "serviceRange">;
type AcceptSettings = Pick<ControlPlaneSettings, "policy" | "portsReserved"> & RangeSettings;

export interface DeploymentRequest {
  readonly scope: StackScope;
  /** What is to be deployed; contents of secrets are with the store already. */
  readonly spec: PinnedSpec;
  readonly secrets: Readonly<Record<string, SecretVersion>>;
  /** What was found wrong before: external configs and secrets that are not there. */
  readonly problems?: readonly Problem[];
  /** Who asks: the token's name. */
  readonly actor: string;
  readonly now: number;
  /** An identifier that was never used. */
  readonly id: string;
}

/** The deployment, recorded as pending, or everything that speaks against it. */
export function acceptDeployment(
  view: ClusterView,
  request: DeploymentRequest,
  settings: AcceptSettings,
): Decision<Deployment> {
  const refusal = refusalOf(view, request, settings);
  if (refusal !== undefined) return refusal;
  const { scope, spec, secrets, actor, now, id } = request;
  const value: Deployment = {
    project: scope.project,
    environment: scope.environment,
    stack: scope.stack,
    id,
    createdAt: now,
    createdBy: actor,
    state: "pending",
    spec,
    secrets,
  };
  const text = encode(value);
  const bytes = Buffer.byteLength(text);
  // A release holds the same with digests added: a margin so that it fits when this does.
  const bytesMax = Math.floor(VALUE_BYTES_MAX * 0.75);
  if (bytes > bytesMax) {
    const message = `the stack has ${bytes} bytes, at most ${bytesMax} can be kept`;
    return refuse("limit_exceeded", message, { limit: "stack bytes", value: bytes, max: bytesMax });
  }
  const key = keys.deployment(scope, id);
  const stackRow = keys.stack(scope);
  const stackRevision = view.stacks.get(stackRow)?.revision;
  return accept(
    value,
    [unchangedSince(key, undefined), unchangedSince(stackRow, stackRevision)],
    [{ kind: "put", key, value: text }],
  );
}

/**
 * Why a spec cannot be deployed into `scope` now; `undefined` when it can. Used for plans too.
 */
export function refusalOf(
  view: ClusterView,
  request: Pick<DeploymentRequest, "scope" | "spec" | "secrets" | "problems">,
  settings: AcceptSettings,
): Refusal | undefined {
  const { scope, spec, secrets } = request;
  if (view.stacks.get(keys.stack(scope))?.value.deleting !== undefined) {
    return refuse("conflict", `stack ${stackKey(scope)} is being removed; deploy when it is gone`);
  }
  const invalid = [
    ...(request.problems ?? []),
    ...validateSpec({ ...spec, secrets }),
    ...externalNetworkProblems(view, scope, spec),
    ...takenRangeProblems(view, { scope, spec }, settings),
  ];
  if (invalid.length > 0) return listed("invalid_stack", invalid);
  const allowed = policyOf(view, scope.project, settings.policy);
  const denied = policyProblems(spec, allowed, scope.project);
  if (denied.length > 0) return listed("policy_denied", denied);
  const wishes = claimsOfServices(
    Object.fromEntries(Object.entries(spec.services).map(([name, each]) => [name, { spec: each }])),
  );
  if (wishes.length > CLAIMS_PER_RELEASE_MAX) {
    const message = `the stack publishes ${wishes.length} ports and routes, at most ${CLAIMS_PER_RELEASE_MAX}`;
    const max = CLAIMS_PER_RELEASE_MAX;
    return refuse("limit_exceeded", message, { limit: "claims", value: wishes.length, max });
  }
  const taken = claimProblems(view, scope, wishes, settings.portsReserved);
  return taken.length > 0 ? listed("claim_taken", taken) : undefined;
}

function listed(code: "invalid_stack" | "policy_denied" | "claim_taken", problems: Problem[]) {
  const [first] = problems;
  const more = problems.length === 1 ? "" : ` (and ${problems.length - 1} more)`;
  return refuse(code, `${first?.path}: ${first?.message}${more}`, { problems });
}

/** Ranges that the file states and somebody has; a network that exists keeps the one that it has. */
function takenRangeProblems(
  view: ClusterView,
  { scope, spec }: Pick<DeploymentRequest, "scope" | "spec">,
  settings: RangeSettings,
): Problem[] {
  const taken = takenRanges(view, settings);
  return Object.entries(spec.networks).flatMap(([name, { subnet: text, external }]) => {
    const wish = text === undefined ? undefined : parseSubnet(text);
    if (wish === undefined || external !== undefined) return [];
    if (view.networks.get(keys.network(scope, name)) !== undefined) return [];
    const clash = taken.find((other) => subnetsOverlap(other, wish));
    if (clash === undefined) return [];
    const message = `${text} overlaps with ${formatSubnet(clash)}, which ${clash.who} has`;
    return [{ path: `networks.${name}.subnet`, message }];
  });
}

function externalNetworkProblems(
  view: ClusterView,
  scope: StackScope,
  spec: DeploymentRequest["spec"],
): Problem[] {
  return Object.entries(spec.networks).flatMap(([name, { external }]) => {
    if (external === undefined) return [];
    const owner = { ...scope, stack: external.stack };
    if (view.networks.get(keys.network(owner, external.name)) !== undefined) return [];
    const message = `stack ${external.stack} has no network ${external.name} in this environment`;
    return [{ path: `networks.${name}`, message }];
  });
}
