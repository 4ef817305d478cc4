/**
 * The merge key `<<`: keys of other mappings that a mapping takes over where it does not say them itself.
 * The first of several mappings wins.
 */

import type { Problems } from "../problem.ts";
import { kindName, type MapEntry, type MapTree, type Tree } from "../tree/tree.ts";

/** `map` with the keys of `sources` added. */
export function mergeInto(
  map: MapTree,
  sources: readonly Tree[],
  path: string,
  problems: Problems,
): MapTree {
  const entries = new Map<string, MapEntry>(map.entries);
  const add = (source: Tree, inList: boolean): void => {
    if (source.kind === "map") {
      for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
      return;
    }
    if (source.kind === "seq" && !inList) {
      for (const item of source.items) add(item, true);
      return;
    }
    problems.error(
      source,
      path,
      `<< takes a mapping or a list of mappings, not ${kindName(source)}`,
    );
  };
  for (const source of sources) add(source, false);
  return { ...map, entries };
}
