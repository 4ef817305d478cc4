/**
 * Secrets and configs that an environment has apart from stacks, as rows of the store: what may be told of one, and
 * its newest content sealed under a key of its own, so that a list reads no contents.
 *
 * A deploy copies what it takes into its stack (secrets sealed, configs as blobs): a release can be gone back to,
 * and its containers start again, whatever became of the object since. Hence only the newest content is kept here.
 */

import { nearestWord } from "@berth/base";
import {
  type EnvironmentScope,
  EXTERNAL_FILES_MAX,
  type ExternalFile,
  type ExternalFileKind,
  type ExternalUse,
  keys,
} from "@berth/protocol";
import { liveReleaseNumbers } from "../release/claims.ts";
import { type ClusterView, environmentOf } from "../state/cluster-tables.ts";
import type { Operation } from "../store/port.ts";
import type { ApiContext } from "./handler.ts";

/** A row: all but what follows from the key and from the stacks. */
export type StoredExternal = Pick<ExternalFile, "createdAt" | "versions">;

/** Which one. */
export interface ExternalPlace {
  readonly scope: EnvironmentScope;
  readonly kind: ExternalFileKind;
  readonly name: string;
}

export interface FoundExternal {
  readonly stored: StoredExternal;
  readonly revision: number;
}

type StoreContext = Pick<ApiContext, "store">;

/** All of a kind, by name. Cost: O(their number), at most `EXTERNAL_FILES_MAX`. */
export async function listExternal(
  { store }: StoreContext,
  { scope, kind }: Omit<ExternalPlace, "name">,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, StoredExternal>> {
  const prefix = keys.external(scope, kind, "");
  const { entries } = await store.list(prefix, { limit: EXTERNAL_FILES_MAX, signal });
  return new Map(
    entries.map(({ key, value }) => [
      decodeURIComponent(key.slice(prefix.length)),
      JSON.parse(value) as StoredExternal,
    ]),
  );
}

export async function findExternal(
  { store }: StoreContext,
  place: ExternalPlace,
  signal: AbortSignal,
): Promise<FoundExternal | undefined> {
  const { entry } = await store.get(rowKey(place), { signal });
  if (entry === undefined) return undefined;
  return { stored: JSON.parse(entry.value) as StoredExternal, revision: entry.modRevision };
}

/** The newest content; `undefined` when there is no such object. */
export async function readExternal(
  { store, secrets }: Pick<ApiContext, "store" | "secrets">,
  place: ExternalPlace,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const key = contentKey(place);
  const { entry } = await store.get(key, { signal });
  return entry === undefined ? undefined : secrets.open(entry.value, key);
}

export function rowKey({ scope, kind, name }: ExternalPlace): string {
  return keys.external(scope, kind, name);
}

function contentKey({ scope, kind, name }: ExternalPlace): string {
  return keys.sealed(scope, "external", kind, name);
}

/** Writes row and content in one transaction. */
export function putOperations(
  { secrets }: Pick<ApiContext, "secrets">,
  place: ExternalPlace,
  { stored, content }: { readonly stored: StoredExternal; readonly content: Uint8Array },
): Operation[] {
  const key = contentKey(place);
  return [
    { kind: "put", key: rowKey(place), value: JSON.stringify(stored) },
    { kind: "put", key, value: secrets.seal(content, key) },
  ];
}

export function deleteOperations(place: ExternalPlace): Operation[] {
  return [
    { kind: "delete", key: rowKey(place) },
    { kind: "delete", key: contentKey(place) },
  ];
}

/**
 * Who uses which, by name: releases that stacks are at or may go to by themselves, the newest of each stack and key.
 * Cost: O(stacks of the environment × their configs or secrets).
 */
export function externalUses(
  view: ClusterView,
  { scope, kind }: Omit<ExternalPlace, "name">,
): ReadonlyMap<string, readonly ExternalUse[]> {
  const uses = new Map<string, ExternalUse[]>();
  for (const { value: stack } of view.stacks.by("environment", environmentOf(scope))) {
    const seen = new Set<string>();
    for (const number of liveReleaseNumbers(stack)) {
      const release = view.releases.get(keys.release(stack, number))?.value;
      if (release === undefined) continue;
      const sources = kind === "secret" ? release.secrets : release.configs;
      for (const [key, { external }] of Object.entries(sources)) {
        if (external === undefined || seen.has(`${key} ${external.name}`)) continue;
        seen.add(`${key} ${external.name}`);
        const use = { stack: stack.stack, release: number, key, version: external.version };
        uses.set(external.name, [...(uses.get(external.name) ?? []), use]);
      }
    }
  }
  return uses;
}

/** Stacks that are being deployed with it: no release says so yet. */
export function pendingUses(view: ClusterView, { scope, kind, name }: ExternalPlace): string[] {
  const pending = view.deployments.by("state", "pending").filter(({ value }) => {
    if (environmentOf(value) !== environmentOf(scope)) return false;
    const sources = kind === "secret" ? value.secrets : value.spec.configs;
    return Object.values(sources).some(({ external }) => external?.name === name);
  });
  return [...new Set(pending.map(({ value }) => value.stack))];
}

/** The noun of the command line: `berth config` prints stack files. */
export function commandOf(kind: ExternalFileKind): "secret" | "config-file" {
  return kind === "secret" ? "secret" : "config-file";
}

/** Says that there is none, and which of `known` may be meant. */
export function missingText(
  { scope, kind, name }: ExternalPlace,
  known: readonly string[],
): string {
  const near = nearestWord(name, known);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return `environment ${scope.project}/${scope.environment} has no ${kind} "${name}"${hint}`;
}
