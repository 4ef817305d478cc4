/**
 * Tags: `!reset` and `!override` of the specification, and YAML's own `!!str`, `!!int` and so on, which fix the
 * type of a scalar. Other tags make text of a scalar and say nothing of the rest, as in the reference implementation.
 */

import type { Problems } from "../problem.ts";
import { isNull, scalar, type Tree, textTree } from "../tree/tree.ts";
import { resolvePlain } from "./plain-scalar.ts";

/** A word for nothing where a value stands; nothing at all has the place of its key. */
const NULL_WORD = /^(?:!\S+\s+)?(~|null|Null|NULL)(?=[\s,\]}#]|$)(?!\s*:)/;

/** A time may have a space inside. */
const TIME_WORD = /^(?:!\S+\s+)?([^\n,\]}#]*[^\s,\]}#])/;

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
  if (tag === "!override") return { ...(isNull(tree) ? tree : asText(tree)), mark: "override" };
  if (!tag.startsWith(YAML_TAG)) return asText(tree);
  if (tree.kind !== "scalar") return tree;
  const type = tag.slice(YAML_TAG.length);
  if (type === "str") return textTree(tree, sourceText(tree));
  const resolved = resolvePlain(tree.text);
  const fits = resolved.type === type || (type === "float" && resolved.type === "int");
  if (fits) return scalar(tree, resolved.type, resolved.text);
  if (type === "binary") {
    const decoded = decodedText(tree.text);
    if (decoded !== undefined) return textTree(tree, decoded);
    problems.error(tree, path, "is not base64 of a text, as !!binary says");
  }
  if (["int", "float", "bool", "null"].includes(type)) {
    problems.error(tree, path, `${JSON.stringify(tree.text)} is not of type !!${type}`);
  }
  return tree;
}

/** A scalar with a tag that YAML does not know is text, as in the reference: nothing says what else. */
function asText(tree: Tree): Tree {
  if (tree.kind !== "scalar" || tree.type === "string") return tree;
  return textTree(tree, sourceText(tree));
}

/** The UTF-8 text that base64 stands for. */
function decodedText(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The text as it was written, before a number was made of it: `!!str 0777` is `0777`. */
function sourceText(tree: Tree & { readonly kind: "scalar" }): string {
  if (tree.type === "string") return tree.text;
  if (tree.type === "null") return NULL_WORD.exec(tree.source.text.slice(tree.offset))?.[1] ?? "";
  if (tree.type === "timestamp")
    return tree.source.text.slice(tree.offset).match(TIME_WORD)?.[1] ?? tree.text;
  const rest = tree.source.text.slice(tree.offset, tree.offset + 400);
  return /^(?:!\S+\s+)?([^\s,\]}#]*)/.exec(rest)?.[1] ?? tree.text;
}
