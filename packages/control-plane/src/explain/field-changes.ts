/**
 * What differs between two versions of a service, field by field, in words that fit on a line. Values of
 * the environment are never shown: they may be secrets.
 */

import type { FieldChange, ReleaseService } from "@berth/protocol";
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
