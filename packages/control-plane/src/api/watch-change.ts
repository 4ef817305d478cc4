/**
 * One change of the cluster as watchers see it: under which kinds, with which lines, where it belongs now
 * and belonged before. Lines are made when the first watcher wants them, and once.
 */

import type { Task, WatchKind } from "@berth/protocol";
import type { Change } from "../state/cluster-state.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { assignmentOf } from "./assignment.ts";
import { type Facets, facetsOf, type StoredWatchKind } from "./watch-facets.ts";
import { deleteLine, putLine } from "./watch-line.ts";

export type WatchedChange = Change<StoredWatchKind>;

/** A change under one kind. */
export interface ShownChange {
  readonly kind: WatchKind;
  /** False when there is nothing to show (any more) under this kind. */
  readonly exists: boolean;
  readonly line: (type: "put" | "delete") => Buffer;
}

/** Where the object belongs now and belonged before. */
export interface FacetPair {
  readonly now: Facets | undefined;
  readonly before: Facets | undefined;
}

export function facetPair({ kind, entity, previous }: WatchedChange): FacetPair {
  return {
    now: entity && facetsOf(kind, entity),
    before: previous && facetsOf(kind, previous),
  };
}

/**
 * What a client that selects by `selects` is told: nothing, the object, or that it is gone, which is also
 * so for one that has left the selection.
 */
export function verdict(
  { now, before }: FacetPair,
  exists: boolean,
  selects: (facets: Facets) => boolean,
): "put" | "delete" | undefined {
  if (exists && now !== undefined && selects(now)) return "put";
  return before !== undefined && selects(before) ? "delete" : undefined;
}

/**
 * The kinds under which `change` is shown. `onMade` counts lines.
 *
 * An assignment is made from the view as it is now: of past changes only its removal can be told.
 */
export function* shownAs(
  view: ClusterView,
  change: WatchedChange,
  options: { readonly isPast: boolean; readonly onMade: () => void },
): Iterable<ShownChange> {
  const { kind, key, revision, entity } = change;
  const lazily = (shown: WatchKind, value: () => unknown): ShownChange => {
    const made: { put?: Buffer; delete?: Buffer } = {};
    const make = (type: "put" | "delete") => {
      options.onMade();
      return type === "put"
        ? putLine(shown, key, revision, value())
        : deleteLine(shown, key, revision);
    };
    return {
      kind: shown,
      exists: value() !== undefined,
      line: (type) => {
        made[type] ??= make(type);
        return made[type];
      },
    };
  };
  yield lazily(kind, () => entity?.value);
  if (kind !== "task" || (options.isPast && entity !== undefined)) return;
  const assignment = entity && assignmentOf(view, entity.value as Task);
  yield lazily("assignment", () => assignment);
}
