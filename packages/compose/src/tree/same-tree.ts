/**
 * Whether two trees say the same, wherever they were written. Linear.
 */

import type { Tree } from "./tree.ts";

/** Same kind, same content; keys in any order. */
export function sameTree(left: Tree, right: Tree): boolean {
  if (left === right) return true;
  if (left.kind === "scalar") {
    return right.kind === "scalar" && left.type === right.type && left.text === right.text;
  }
  if (left.kind === "seq") {
    if (right.kind !== "seq" || left.items.length !== right.items.length) return false;
    return left.items.every((item, index) => {
      const other = right.items[index];
      return other !== undefined && sameTree(item, other);
    });
  }
  if (right.kind !== "map" || left.entries.size !== right.entries.size) return false;
  for (const [key, { value }] of left.entries) {
    const other = right.entries.get(key);
    if (other === undefined || !sameTree(value, other.value)) return false;
  }
  return true;
}
