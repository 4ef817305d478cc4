/**
 * What the selectors of a watch look at: project, environment, stack and node of an object, found from its
 * key and value alone. A pure function of both; the same for lists and changes.
 */

import { assertNever } from "@berth/base";
import type { WatchKind, WatchSelector } from "@berth/protocol";
import type { Held } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";

/** `assignment` is made from tasks and found like them; the others are the directory's. */
export type StoredWatchKind = Exclude<WatchKind, "assignment" | "service" | "attachment" | "peer">;

export interface Facets {
  readonly project?: string;
  readonly environment?: string;
  readonly stack?: string;
  readonly node?: string;
}

/** Where `entity` belongs. */
export function facetsOf(kind: StoredWatchKind, entity: Entity<Held[StoredWatchKind]>): Facets {
  switch (kind) {
    case "stack":
    case "scale":
    case "deployment":
    case "network":
    case "task":
    case "volume":
    case "operation":
    case "event":
    case "certificate":
      return entity.value as Facets;
    case "server-address":
      return { node: (entity.value as Held["server-address"]).node };
    case "node":
    case "node-status":
      return { node: (entity.value as Held["node"]).name };
    case "status": {
      const [project, environment, , stack] = entity.key.split("/");
      const { node } = entity.value as Held["status"];
      return {
        node,
        ...(project === undefined ? {} : { project }),
        ...(environment === undefined ? {} : { environment }),
        ...(stack === undefined ? {} : { stack: decodeURIComponent(stack) }),
      };
    }
    default:
      return assertNever(kind, "kind");
  }
}

/** Every condition of the selector holds. The kind is the caller's to compare. */
export function matches(selector: WatchSelector, facets: Facets): boolean {
  return (
    (selector.project === undefined || selector.project === facets.project) &&
    (selector.environment === undefined || selector.environment === facets.environment) &&
    (selector.stack === undefined || selector.stack === facets.stack) &&
    (selector.node === undefined || selector.node === facets.node)
  );
}
