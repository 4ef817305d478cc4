/**
 * What a deployment would do: the release that it would make, compared with the current one, and where the
 * scheduler would put the copies if it began now. Changes nothing.
 *
 * Images are not looked up: a reference that the current release has is taken to be what it was, and a
 * warning says so where a tag may have moved.
 */

import {
  type Deployment,
  type DeployPlan,
  keys,
  type PinnedImage,
  type Release,
  type ServicePlan,
  type Stack,
  stackKey,
} from "@berth/protocol";
import { clusterModel } from "../plan/cluster-model.ts";
import type { InFlight } from "../plan/in-flight.ts";
import { type DeploymentRequest, refusalOf } from "../release/accept-deployment.ts";
import { exclusiveReason } from "../release/exclusive.ts";
import { chooseHostPorts } from "../release/host-ports.ts";
import { makeRelease } from "../release/make-release.ts";
import type { Refusal } from "../release/refusal.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { contentChanges, fieldChanges } from "./field-changes.ts";
import { copiesOf, placeCopies, Trial } from "./placement-trial.ts";

export interface PlanInput {
  readonly view: ClusterView;
  readonly request: Omit<DeploymentRequest, "id" | "actor">;
  readonly settings: ControlPlaneSettings;
  readonly inFlight: InFlight;
}

/** The plan, or why the deployment would be refused. */
export function planDeployment(
  input: PlanInput,
): { readonly kind: "planned"; readonly plan: DeployPlan } | Refusal {
  const { view, request, settings } = input;
  const refusal = refusalOf(view, request, settings);
  if (refusal !== undefined) return refusal;
  const stack = view.stacks.get(keys.stack(request.scope))?.value;
  const current = stack && view.releases.get(keys.release(stack, stack.release))?.value;
  const release = wouldBe(input, stack, current);
  const cluster = clusterModel(view, input.inFlight.tasks());
  const trial = new Trial({ view, project: request.scope.project, cluster, settings });
  const plan: DeployPlan = {
    release: release.number,
    ...(current === undefined ? {} : { current: current.number }),
    services: servicePlans(view, trial, current, release),
    networks: {
      create: added(release.networks, current?.networks),
      remove: added(current?.networks ?? {}, release.networks),
    },
    volumes: {
      create: Object.keys(release.volumes)
        .filter((name) => !hasVolume(view, release, name))
        .sort(),
      keep: added(current?.volumes ?? {}, release.volumes),
    },
    warnings: warningsOf(release, current),
  };
  return { kind: "planned", plan };
}

function wouldBe(
  { view, request, settings }: PlanInput,
  stack: Stack | undefined,
  current: Release | undefined,
): Release {
  const { scope, spec, secrets, now } = request;
  const { project, environment } = scope;
  const deployment: Deployment = {
    project,
    environment,
    stack: scope.stack,
    id: "planned",
    createdAt: now,
    createdBy: "plan",
    state: "pending",
    spec,
    secrets,
  };
  return makeRelease({
    deployment,
    images: knownImages(current),
    number: (stack?.releaseMax ?? 0) + 1,
    now,
    current,
    choosePort: chooseHostPorts(view, settings),
  });
}

function knownImages(current: Release | undefined): Record<string, PinnedImage> {
  const services = Object.values(current?.services ?? {});
  return Object.fromEntries(services.map(({ image }) => [image.reference, image]));
}

function servicePlans(
  view: ClusterView,
  trial: Trial,
  current: Release | undefined,
  release: Release,
): ServicePlan[] {
  const gone = Object.keys(current?.services ?? {}).filter(
    (name) => !Object.hasOwn(release.services, name),
  );
  const removals = gone
    .sort()
    .flatMap((name) => (current ? [removal(view, trial, current, name)] : []));
  const others = Object.keys(release.services)
    .sort()
    .map((name) => servicePlan(view, trial, { current, release, name }));
  return [...others, ...removals].sort((a, b) => (a.service < b.service ? -1 : 1));
}

function removal(view: ClusterView, trial: Trial, current: Release, name: string): ServicePlan {
  const tasks = trial.tasksOf(current, name);
  for (const task of tasks) trial.release(task.id);
  return {
    service: name,
    action: "remove",
    copies: 0,
    copiesNow: copiesOf(view, current, name),
    order: current.services[name]?.spec.update.order ?? "stop-first",
    changes: [],
    placements: [],
  };
}

function servicePlan(
  view: ClusterView,
  trial: Trial,
  which: {
    readonly current: Release | undefined;
    readonly release: Release;
    readonly name: string;
  },
): ServicePlan {
  const { current, release, name } = which;
  const service = release.services[name];
  const before = current?.services[name];
  const copies = copiesAfter(view, current, release, name);
  const copiesNow =
    current === undefined || before === undefined ? 0 : copiesOf(view, current, name);
  const action = actionOf(before?.template, service?.template, copies, copiesNow);
  const exclusive = exclusiveReason(release, name);
  const order =
    exclusive === undefined ? (service?.spec.update.order ?? "stop-first") : "stop-first";
  const changes =
    current === undefined || before === undefined || service === undefined
      ? []
      : [...fieldChanges(before, service), ...contentChanges(current, release, service.spec)];
  return {
    service: name,
    action,
    copies,
    copiesNow,
    order,
    ...noteOf(action, order, exclusive?.text),
    changes,
    placements:
      action === "none" ? [] : placeCopies(trial, { release, name, copies, order, action }),
  };
}

/** The file's number when it has changed or nobody set another one. */
function copiesAfter(
  view: ClusterView,
  current: Release | undefined,
  release: Release,
  name: string,
): number {
  const file = release.services[name]?.spec.copies ?? 0;
  if (current?.services[name]?.spec.copies !== file) return file;
  return copiesOf(view, release, name);
}

function actionOf(
  before: string | undefined,
  after: string | undefined,
  copies: number,
  copiesNow: number,
): ServicePlan["action"] {
  if (before === undefined) return "create";
  if (before !== after) return "replace";
  return copies === copiesNow ? "none" : "scale";
}

function noteOf(
  action: ServicePlan["action"],
  order: ServicePlan["order"],
  exclusive: string | undefined,
): Pick<ServicePlan, "note"> {
  if (action !== "replace") return {};
  if (exclusive !== undefined) return { note: `with an interruption: ${exclusive}` };
  if (order === "stop-first") return { note: "with an interruption: the file says stop-first" };
  return { note: "without interruption: each new copy is healthy before an old one stops" };
}

function hasVolume(view: ClusterView, release: Release, name: string): boolean {
  return view.volumes.by("stack", stackKey(release)).some(({ value }) => value.name === name);
}

function added(some: object, others: object | undefined): string[] {
  return Object.keys(some)
    .filter((name) => !Object.hasOwn(others ?? {}, name))
    .sort();
}

function warningsOf(release: Release, current: Release | undefined): string[] {
  const known = knownImages(current);
  const services = Object.entries(release.services);
  const built = services.filter(([, { spec }]) => spec.build !== undefined).map(([name]) => name);
  const moving = services
    .filter(([, { spec }]) => spec.build === undefined && spec.pullPolicy === "always")
    .filter(([, { image }]) => known[image.reference] !== undefined)
    .map(([name]) => name);
  return [
    ...(built.length === 0
      ? []
      : [
          `images are built when deploying: ${built.join(", ")} may be replaced although nothing else changed`,
        ]),
    ...(moving.length === 0
      ? []
      : [
          `tags are looked up when deploying: ${moving.join(", ")} may be replaced if a tag has moved`,
        ]),
  ];
}
