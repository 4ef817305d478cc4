/**
 * The two spellings of a table in Compose, `{A: 1}` and `[A=1]`, brought into one, so that files which use
 * different ones merge. A bare `A` is a key without a value.
 */

import { type MapEntry, mapTree, nullTree, seqTree, type Tree, textTree } from "./tree.ts";

/** A list of `key=value` as a mapping; mappings and scalars as they are. Later entries win. */
export function keyValueMap(tree: Tree, separator: string): Tree {
  if (tree.kind !== "seq") return tree;
  const entries = new Map<string, MapEntry>();
  for (const item of tree.items) {
    // An item of another kind is kept under a key that nobody writes, so that its reader can refuse it.
    if (item.kind !== "scalar") return tree;
    const at = item.text.indexOf(separator);
    const key = at < 0 ? item.text : item.text.slice(0, at);
    const value = at < 0 ? nullTree(item) : textTree(item, item.text.slice(at + separator.length));
    entries.set(key, { key: item, value });
  }
  return mapTree(tree, entries);
}

/** A list of names as a mapping of names to nothing (`depends_on`, `networks`). */
export function namesMap(tree: Tree): Tree {
  if (tree.kind !== "seq") return tree;
  const entries = new Map<string, MapEntry>();
  for (const item of tree.items) {
    if (item.kind !== "scalar") return tree;
    entries.set(item.text, { key: item, value: nullTree(item) });
  }
  return mapTree(tree, entries);
}

/** A mapping whose keys stand for nothing but identity, back as the list that it was. */
export function valuesList(tree: Tree): Tree {
  if (tree.kind !== "map") return tree;
  return seqTree(
    tree,
    [...tree.entries.values()].map((entry) => entry.value),
  );
}
