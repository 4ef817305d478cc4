/**
 * Tags: `!reset` and `!override` of the specification, and YAML's own `!!str`, `!!int` and so on, which fix the
 * type of a scalar. Other tags say nothing to us and are passed over, as the reference implementation does.
 */

import type { Problems } from "../problem.ts";
import { scalar, type Tree, textTree } from "../tree/tree.ts";
import { resolvePlain } from "./plain-scalar.ts";

const YAML_TAG = "tag:yaml.org,2002:";

/** `tree` with its explicit tag applied. */
export function applyTag(
  tree: Tree,
  tag: string | undefined,
  path: string,
  problems: Problems,
): Tree {
  if (tag === undefined || tag === "") return tree;
  if (tag === "!reset") return { ...tree, mark: "reset" };
  if (tag === "!override") return { ...tree, mark: "override" };
  if (!tag.startsWith(YAML_TAG) || tree.kind !== "scalar") return tree;
  const type = tag.slice(YAML_TAG.length);
  if (type === "str") return textTree(tree, sourceText(tree));
  const resolved = resolvePlain(tree.text);
  const fits =
    resolved.type === type || (type === "float" && resolved.type === "int") || type === "binary";
  if (fits && type !== "binary") return scalar(tree, resolved.type, resolved.text);
  if (type === "binary") return textTree(tree, tree.text);
  if (["int", "float", "bool", "null"].includes(type)) {
    problems.error(tree, path, `${JSON.stringify(tree.text)} is not of type !!${type}`);
  }
  return tree;
}

/** The text as it was written, before a number was made of it: `!!str 0777` is `0777`. */
function sourceText(tree: Tree & { readonly kind: "scalar" }): string {
  if (tree.type === "string") return tree.text;
  const rest = tree.source.text.slice(tree.offset, tree.offset + 400);
  return /^(?:!!str\s+)?([^\s,\]}#]*)/.exec(rest)?.[1] ?? tree.text;
}
