/**
 * What is old enough to be forgotten: releases, deployments, events, operations, secrets that no release
 * refers to. Pure: returns what to delete. Each kind has its named retention in the settings.
 *
 * Never forgotten: releases that the stack may go to by itself, releases that live tasks were made from,
 * anything that is pending. Cost: O(objects of these kinds).
 */

import { isFinal, type Stack, stackKey } from "@berth/protocol";
import { Unit } from "../plan/unit.ts";
import { liveReleaseNumbers } from "../release/claims.ts";
import { SERVER_FORGOTTEN_MS } from "../servers/server-addresses.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { statusOf } from "../state/status-of.ts";

export type Retention = Pick<
  ControlPlaneSettings,
  "releasesKept" | "deploymentsKept" | "eventsKept" | "eventAgeMs" | "operationAgeMs"
>;

/** Everything that may go now, one unit an object. */
export function findGarbage(view: ClusterView, now: number, retention: Retention): Unit[] {
  const rows = [
    ...view.stacks
      .all()
      .flatMap(({ value: stack }) => [
        ...oldReleases(view, stack, retention),
        ...oldDeployments(view, stack, retention),
        ...unusedSecrets(view, stack),
      ]),
    ...oldEvents(view, now, retention),
    ...oldOperations(view, now, retention),
    ...view.serverAddresses.all().filter(({ value }) => now - value.at > SERVER_FORGOTTEN_MS),
  ];
  return rows.map(({ key, revision }) => {
    const unit = new Unit();
    unit.expect(key, revision);
    unit.delete(key);
    return unit;
  });
}

type Row = Entity<unknown>;

function oldReleases(view: ClusterView, stack: Stack, { releasesKept }: Retention): Row[] {
  const needed = new Set(liveReleaseNumbers(stack));
  for (const { value: task } of view.tasks.by("stack", stackKey(stack))) {
    const status = statusOf(view, task.id);
    if (status === undefined || !isFinal(status.state)) needed.add(task.release);
  }
  const spare = view.releases
    .by("stack", stackKey(stack))
    .filter(({ value }) => !needed.has(value.number));
  return spare.slice(0, Math.max(0, spare.length - releasesKept));
}

function oldDeployments(view: ClusterView, stack: Stack, { deploymentsKept }: Retention): Row[] {
  const over = view.deployments
    .by("stack", stackKey(stack))
    .filter(({ value }) => value.state !== "pending")
    .sort((a, b) => a.value.createdAt - b.value.createdAt);
  return over.slice(0, Math.max(0, over.length - deploymentsKept));
}

/** Versions of secrets that neither a kept release nor a pending deployment refers to. */
function unusedSecrets(view: ClusterView, stack: Stack): Row[] {
  const name = stackKey(stack);
  const used = new Set<string>();
  const holders = [...view.releases.by("stack", name), ...view.deployments.by("stack", name)];
  // A secret is stored before the deployment that names it: while one is pending, nothing goes.
  if (view.deployments.by("stack", name).some(({ value }) => value.state === "pending")) return [];
  for (const { value } of holders) {
    for (const [secret, { version }] of Object.entries(value.secrets)) {
      used.add(`${secret}/${version}`);
    }
  }
  const newest = Math.max(0, ...holders.map(({ revision }) => revision));
  return view.secrets
    .by("stack", name)
    .filter(
      ({ value, revision }) => revision < newest && !used.has(`${value.name}/${value.version}`),
    );
}

function oldEvents(view: ClusterView, now: number, retention: Retention): Row[] {
  const old: Row[] = [];
  for (const environment of view.events.terms("environment")) {
    const events = view.events.by("environment", environment);
    const surplus = Math.max(0, events.length - retention.eventsKept);
    old.push(
      ...events.filter(
        ({ value }, index) => index < surplus || now - value.at > retention.eventAgeMs,
      ),
    );
  }
  return old;
}

function oldOperations(view: ClusterView, now: number, { operationAgeMs }: Retention): Row[] {
  const pending = new Set(
    view.deployments.by("state", "pending").map(({ value }) => value.operation),
  );
  return view.operations.all().filter(({ value }) => {
    const over = value.state === "done" || value.state === "failed";
    return over && !pending.has(value.id) && now - value.updatedAt > operationAgeMs;
  });
}
