/**
 * The merge key `<<`: keys of other mappings that a mapping takes over where it does not say them itself.
 * The first of several mappings wins.
 */

import type { Problems } from "../problem.ts";
import { isNull, kindName, type MapEntry, type MapTree, type Tree } from "../tree/tree.ts";

/** `map` with the keys of `source` added. */
export function mergeInto(map: MapTree, source: Tree, path: string, problems: Problems): MapTree {
  const entries = new Map<string, MapEntry>(map.entries);
  const add = (from: Tree, inList: boolean): void => {
    if (from.kind === "map") {
      for (const [key, entry] of from.entries) if (!entries.has(key)) entries.set(key, entry);
      return;
    }
    if (from.kind === "seq" && !inList) {
      for (const item of from.items) add(item, true);
      return;
    }
    // An alias that names nothing was told of there.
    if (isNull(from) && problems.hasErrorAt(from)) return;
    problems.error(from, path, `<< takes a mapping or a list of mappings, not ${kindName(from)}`);
  };
  add(source, false);
  return { ...map, entries };
}
