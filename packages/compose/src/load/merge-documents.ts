/**
 * The documents of a file, or files of a stack, merged in their order.
 */

import type { Problems } from "../problem.ts";
import { mergeFiles, settle } from "../tree/merge.ts";
import { type MapTree, mapTree, type Tree } from "../tree/tree.ts";

const EMPTY_SOURCE = { file: "", text: "", baseDirectory: "/" };

/** A mapping without keys, from nowhere. */
export const EMPTY_MAP: MapTree = mapTree({ source: EMPTY_SOURCE, offset: 0 }, new Map());

/** One tree out of several, later ones over earlier ones. */
export function mergeDocuments(documents: readonly Tree[], problems: Problems): Tree {
  const [first, ...rest] = documents;
  if (first === undefined) return EMPTY_MAP;
  return rest.reduce((base, over) => mergeFiles(base, over, problems), settle(first));
}
