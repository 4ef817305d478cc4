/**
 * What differs between two versions of a service, field by field, in words that fit on a line. Values of
 * the environment are never shown: they may be secrets.
 */

import type { FieldChange, Release, ReleaseService, ServiceSpec } from "@berth/protocol";
import { canonical } from "../release/template.ts";

/** Longer values are cut: a reader wants to know what, not all of it. */
const VALUE_CHARS_MAX = 80;

/** Fields whose parts are told one by one, by their keys. */
const BY_KEY = new Set(["environment", "engine", "networks", "dependsOn", "probes", "update"]);
/** Fields whose values are not shown. */
const HIDDEN = new Set(["environment"]);

/** Every difference, in order of field. Empty when both say the same. */
export function fieldChanges(from: ReleaseService, to: ReleaseService): FieldChange[] {
  const changes: FieldChange[] = [];
  const digests = [contentOf(from), contentOf(to)] as const;
  if (digests[0] !== digests[1] || from.image.reference !== to.image.reference) {
    changes.push(imageChange(from, to, digests));
  }
  const before: Readonly<Record<string, unknown>> = from.spec;
  const after: Readonly<Record<string, unknown>> = to.spec;
  for (const field of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
    if (field === "image" || same(before[field], after[field])) continue;
    if (BY_KEY.has(field)) changes.push(...partChanges(field, before[field], after[field]));
    else changes.push(changeOf(field, before[field], after[field], false));
  }
  return changes;
}

type Contents = Pick<Release, "configs" | "secrets">;

/**
 * Configs and secrets that the service goes on using, and whose bytes are others: by their names, with the versions
 * of external ones. Contents are not told.
 */
export function contentChanges(
  from: Contents,
  to: Contents,
  { configs, secrets }: Pick<ServiceSpec, "configs" | "secrets">,
): FieldChange[] {
  const changes: FieldChange[] = [];
  for (const name of new Set(configs.map((file) => file.name))) {
    const [before, after] = [from.configs[name], to.configs[name]];
    if (before === undefined || after === undefined || before.digest === after.digest) continue;
    changes.push({ field: `configs.${name}`, change: "changed", ...versions(before, after) });
  }
  for (const name of new Set(secrets.map((file) => file.name))) {
    const [before, after] = [from.secrets[name], to.secrets[name]];
    if (before === undefined || after === undefined || before.version === after.version) continue;
    changes.push({ field: `secrets.${name}`, change: "changed", ...versions(before, after) });
  }
  return changes;
}

type Sourced = { readonly external?: { readonly name: string; readonly version: number } };

/** `db_password at 2`, where either came from the environment. */
function versions(from: Sourced, to: Sourced): Pick<FieldChange, "from" | "to"> {
  const text = ({ external }: Sourced) =>
    external === undefined ? "the file's" : `${external.name} at ${external.version}`;
  if (from.external === undefined && to.external === undefined) return {};
  return { from: text(from), to: text(to) };
}

function contentOf({ image }: ReleaseService): string | undefined {
  return image.imageId ?? image.repoDigest;
}

function imageChange(
  from: ReleaseService,
  to: ReleaseService,
  [before, after]: readonly [string | undefined, string | undefined],
): FieldChange {
  if (from.image.reference !== to.image.reference) {
    return changeOf("image", from.image.reference, to.image.reference, false);
  }
  return changeOf("image", shortDigest(before), shortDigest(after), false);
}

/** `sha256:1c9e…` */
function shortDigest(digest: string | undefined): string {
  if (digest === undefined) return "not resolved";
  const at = digest.indexOf("sha256:");
  return at < 0 ? digest : `${digest.slice(at, at + 11)}…`;
}

function partChanges(field: string, before: unknown, after: unknown): FieldChange[] {
  const old = recordOf(before);
  const now = recordOf(after);
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .sort()
    .filter((part) => !same(old[part], now[part]))
    .map((part) => changeOf(`${field}.${part}`, old[part], now[part], HIDDEN.has(field)));
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (a !== undefined && b !== undefined && canonical(a) === canonical(b));
}

function changeOf(field: string, from: unknown, to: unknown, hidden: boolean): FieldChange {
  const change = from === undefined ? "added" : to === undefined ? "removed" : "changed";
  if (hidden) return { field, change };
  return {
    field,
    change,
    ...(from === undefined ? {} : { from: shown(from) }),
    ...(to === undefined ? {} : { to: shown(to) }),
  };
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : canonical(value);
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX - 1)}…`;
}
