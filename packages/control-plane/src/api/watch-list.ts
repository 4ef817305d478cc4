/**
 * What a watch begins with: every object that its selectors choose, from the narrowest index that fits.
 * Captured at one revision in one turn (references only), turned into lines bit by bit.
 */

import type { WatchSelector } from "@berth/protocol";
import type { Directory } from "../directory/directory.ts";
import { type ClusterView, environmentOf } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { assignmentOf } from "./assignment.ts";
import { facetsOf, matches, type StoredWatchKind } from "./watch-facets.ts";
import { putLine } from "./watch-line.ts";

/** Objects turned into lines in one turn of the event loop: about a millisecond of work. */
export const LIST_SLICE_OBJECTS = 200;

/** An object with the kind under which it is shown. */
export interface Listed {
  readonly kind: WatchSelector["kind"];
  readonly entity: Entity<unknown>;
}

/** Every selected object, once per kind. */
export function listSelected(
  view: ClusterView,
  directory: Directory,
  selectors: readonly WatchSelector[],
): Listed[] {
  const listed = new Map<string, Listed>();
  for (const selector of selectors) {
    const { kind } = selector;
    if (kind === "service" || kind === "attachment" || kind === "peer") {
      for (const entity of directory.list(kind, selector.node ?? "")) {
        listed.set(`${kind} ${entity.key}`, { kind, entity });
      }
      continue;
    }
    const stored: StoredWatchKind = kind === "assignment" ? "task" : kind;
    for (const entity of candidates(view, stored, selector)) {
      if (!matches(selector, facetsOf(stored, entity))) continue;
      listed.set(`${kind} ${entity.key}`, { kind, entity });
    }
  }
  return [...listed.values()];
}

/** The line of a listed object; `undefined` for an assignment that cannot be made (yet). */
export function lineOf(view: ClusterView, { kind, entity }: Listed): Buffer | undefined {
  if (kind !== "assignment") return putLine(kind, entity.key, entity.revision, entity.value);
  const task = entity.value as Parameters<typeof assignmentOf>[1];
  const assignment = assignmentOf(view, task);
  return assignment && putLine(kind, entity.key, entity.revision, assignment);
}

type Candidates = readonly Entity<Parameters<typeof facetsOf>[1]["value"]>[];

function candidates(view: ClusterView, kind: StoredWatchKind, selector: WatchSelector): Candidates {
  const { project, environment, stack, node } = selector;
  const scope =
    project !== undefined && environment !== undefined ? { project, environment } : undefined;
  const inEnvironment = scope && environmentOf(scope);
  const inStack = scope && stack !== undefined ? `${inEnvironment}/${stack}` : undefined;
  switch (kind) {
    case "stack":
      return inEnvironment ? view.stacks.by("environment", inEnvironment) : view.stacks.all();
    case "scale":
      return inStack ? view.scales.by("stack", inStack) : view.scales.all();
    case "deployment":
      return inStack ? view.deployments.by("stack", inStack) : view.deployments.all();
    case "task":
      if (node !== undefined) return view.tasks.by("node", node);
      if (inStack) return view.tasks.by("stack", inStack);
      return inEnvironment ? view.tasks.by("environment", inEnvironment) : view.tasks.all();
    case "status":
      return node === undefined ? view.statuses.all() : view.statuses.by("node", node);
    case "network":
      if (inStack) return view.networks.by("stack", inStack);
      return inEnvironment ? view.networks.by("environment", inEnvironment) : view.networks.all();
    case "volume":
      if (inStack) return view.volumes.by("stack", inStack);
      return inEnvironment ? view.volumes.by("environment", inEnvironment) : view.volumes.all();
    case "event":
      return inEnvironment ? view.events.by("environment", inEnvironment) : view.events.all();
    case "certificate":
      return inEnvironment
        ? view.certificates.by("environment", inEnvironment)
        : view.certificates.all();
    case "operation":
      return node === undefined ? view.operations.all() : view.operations.by("node", node);
    case "server-address":
      return view.serverAddresses.all();
    case "node":
      return view.nodes.all();
    case "node-status":
      return view.nodeStatuses.all();
  }
}
