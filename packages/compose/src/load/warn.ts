/**
 * Warnings for what the file says and the platform does not do, or not wholly: one for each place, with what happens
 * instead. Read from the support table; `version` and other leftovers are named, too.
 */

import type { Problems } from "../problem.ts";
import { type SupportEntry, supportAt } from "../support.ts";
import type { MapTree, Tree } from "../tree/tree.ts";

/** Walks the merged tree along the support table. */
export function warnUnhonoured(tree: MapTree, problems: Problems): void {
  visit(tree, { path: "", pattern: "", depth: 0 }, problems);
}

/** The table names keys up to this depth. */
const PATTERN_DEPTH_MAX = 6;

interface Place {
  readonly path: string;
  readonly pattern: string;
  readonly depth: number;
}

function visit(tree: Tree, place: Place, problems: Problems): void {
  if (place.depth > PATTERN_DEPTH_MAX || tree.kind === "scalar") return;
  if (tree.kind === "seq") {
    for (const [index, item] of tree.items.entries()) {
      visit(item, { ...place, path: `${place.path}[${index}]`, depth: place.depth + 1 }, problems);
    }
    return;
  }
  for (const [key, entry] of tree.entries) {
    const path = place.path === "" ? key : `${place.path}.${key}`;
    const found = supportAt(place.pattern, key);
    if (found === undefined) continue;
    const { entry: support, pattern } = found;
    if (support !== undefined && support.level !== "honoured" && applies(support, entry.value)) {
      problems.warn(entry.key, path, warning(support));
    }
    visit(entry.value, { path, pattern, depth: place.depth + 1 }, problems);
  }
}

/** Some keys are not honoured only for some values. */
function applies(support: SupportEntry, value: Tree): boolean {
  return (
    support.unless === undefined || value.kind !== "scalar" || !support.unless.includes(value.text)
  );
}

function warning(support: SupportEntry): string {
  return `${support.level === "partly" ? "is honoured in part" : "is not honoured"}: ${support.instead}`;
}
