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
  };
  const documents: MapTree[] = [];
  for (const document of parseYaml(source, session.problems)) {
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

/** Without a byte-order mark and with one kind of line break; lines and columns stay what they were. */
function normalizeText(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed();
  const bare = whole.startsWith("\uFEFF") ? whole.slice(1) : whole;
  return bare.includes("\r") ? bare.replaceAll("\r\n", "\n") : bare;
}
