/**
 * One file as trees: read, parsed, interpolated.
 */

import { interpolateTree } from "../tree/interpolate-tree.ts";
import {
  isNull,
  kindName,
  type MapTree,
  type Origin,
  type Source,
  type Tree,
} from "../tree/tree.ts";
import { parseYaml } from "../yaml/parse.ts";
import type { Environment, Session } from "./session.ts";

/** A file, in the place that decides what its relative paths and variables mean. */
export interface FileContext {
  readonly file: string;
  readonly baseDirectory: string;
  readonly environment: Environment;
  /** Named by `extends` or `include`. */
  readonly isReferenced?: boolean;
}

/** The documents of a file, before interpolation; nothing after recording why. */
export function parseFile(
  session: Session,
  context: FileContext,
  asked?: Origin,
  path = "",
): readonly MapTree[] {
  const text = session.read(context.file, asked, path);
  if (text === undefined) return [];
  const source: Source = {
    file: context.file,
    text: normalizeText(text),
    baseDirectory: context.baseDirectory,
    ...(context.isReferenced === true ? { isReferenced: true } : {}),
  };
  if (!isReadable(session, source)) return [];
  const documents: MapTree[] = [];
  for (const document of parseYaml(source, session.problems)) {
    if (UNREAL_NUMBER.test(text)) refuseUnreal(session, document);
    if (isNull(document)) continue;
    if (isKubernetes(document)) {
      const key = document.kind === "map" ? document.entries.get("apiVersion")?.key : undefined;
      session.problems.error(key ?? document, "", "the file is an object of Kubernetes", {
        expected: "a stack file, with services",
      });
    } else if (document.kind === "map") documents.push(document);
    else
      session.problems.error(document, "", `the file is ${kindName(document)}`, {
        expected: "a mapping",
      });
  }
  return documents;
}

/** What YAML does not let stand in a file; half of a pair is what was no UTF-8 (see node-files.ts). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNREADABLE = /[\0-\x08\x0B\x0C\x0E-\x1F\x7F-\x84\x86-\x9F\uFFFE\uFFFF]|\p{Surrogate}/u;

function isReadable(session: Session, source: Source): boolean {
  const found = UNREADABLE.exec(source.text);
  if (found === null) return true;
  const code = found[0].charCodeAt(0);
  const isHalf = code >= 0xd800 && code <= 0xdfff;
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  session.problems.error(
    { source, offset: found.index },
    "",
    isHalf ? "is not UTF-8 here" : `the control character ${name} stands here`,
    { expected: isHalf ? "a file in UTF-8" : "an escape in double quotes" },
  );
  return false;
}

const UNREAL_NUMBER = /\.(?:inf|nan)/i;

/** The specification's files are JSON in another notation, which has no such numbers. */
function refuseUnreal(session: Session, document: Tree): void {
  const seen = new Set<Tree>();
  const look = (tree: Tree, path: string): void => {
    // What an anchor names stands in many places and is told of once.
    if (seen.has(tree)) return;
    seen.add(tree);
    if (tree.kind === "scalar") {
      if (tree.type === "float" && !Number.isFinite(Number(tree.text)))
        session.problems.error(tree, path, `is ${kindName(tree)}`, {
          expected: "a number that JSON has, or text in quotes",
        });
    } else if (tree.kind === "seq") {
      for (const [index, item] of tree.items.entries()) look(item, `${path}[${index}]`);
    } else {
      for (const [key, { value }] of tree.entries)
        look(value, path === "" ? key : `${path}.${key}`);
    }
  };
  look(document, "");
}

/** Every key of such a file would be unknown: one word says it. */
function isKubernetes(document: Tree): boolean {
  if (document.kind !== "map" || document.entries.has("services")) return false;
  return document.entries.has("apiVersion") && document.entries.has("kind");
}

/** `document` with the variables of its place. */
export function withVariables(session: Session, context: FileContext, document: MapTree): MapTree {
  if (!session.interpolate) return document;
  const { environment } = context;
  const tree = interpolateTree(document, (name) => environment.get(name), session.problems);
  return tree.kind === "map" ? tree : document;
}

/**
 * Without a byte-order mark and with one kind of line break; lines and columns stay what they were. The next-line character is
 * a line break of YAML 1.1, as in the reference.
 */
function normalizeText(text: string): string {
  const bare = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const lines = bare.includes("\r") ? bare.replaceAll("\r\n", "\n") : bare;
  return lines.includes("\u0085") ? lines.replaceAll("\u0085", "\n") : lines;
}
