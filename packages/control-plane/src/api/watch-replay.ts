/**
 * What changed between a client's position and now, from the store's history: how a broken watch goes on.
 */

import { type Kind, parseKey } from "@berth/protocol";
import type { Change } from "../state/cluster-state.ts";
import { decodeEntry } from "../state/decode.ts";
import type { Store, StoredEntry, WatchEvent } from "../store/port.ts";
import type { StoredWatchKind } from "./watch-facets.ts";

/** Kinds whose changes are shown; a record, so that a new kind cannot be forgotten. */
const SHOWN: Readonly<Record<StoredWatchKind, true>> = {
  stack: true,
  scale: true,
  deployment: true,
  task: true,
  status: true,
  network: true,
  volume: true,
  node: true,
  "node-status": true,
  operation: true,
  event: true,
  certificate: true,
  "server-address": true,
};

export function isShown(kind: Kind): kind is StoredWatchKind {
  return Object.hasOwn(SHOWN, kind);
}

/**
 * Changes of shown kinds after revision `after` up to and including `target`, in order. Both are revisions
 * that existed.
 *
 * @throws StoreCompacted (`position_gone`) when history does not reach back to `after`.
 */
export async function* replayedChanges(
  store: Store,
  range: { readonly after: number; readonly target: number },
  signal: AbortSignal,
): AsyncGenerator<readonly Change<StoredWatchKind>[], void, undefined> {
  if (range.after >= range.target) return;
  for await (const batch of store.watch("", range.after + 1, signal)) {
    const events = batch.events.filter(({ revision }) => revision <= range.target);
    yield events.flatMap((event) => changeOf(event) ?? []);
    if (batch.revision >= range.target) return;
  }
}

function changeOf(event: WatchEvent): Change<StoredWatchKind> | undefined {
  const parts = parseKey(event.key);
  if (parts === undefined || !isShown(parts.kind)) return undefined;
  const kind = parts.kind;
  const decode = (entry: StoredEntry) =>
    decodeEntry({ ...parts, kind }, entry) as NonNullable<Change<StoredWatchKind>["entity"]>;
  return {
    kind,
    key: event.key,
    revision: event.revision,
    ...(event.type === "put" ? { entity: decode(event.entry) } : {}),
    ...(event.previous === undefined ? {} : { previous: decode(event.previous) }),
  };
}
