/**
 * Which variables stack files use: what `berth config --variables` lists.
 */

import { parentPath } from "../path.ts";
import { Problems } from "../problem.ts";
import { compareBytes } from "../text/go-number.ts";
import { type VariableUse, variableUses } from "../text/template.ts";
import { type Tree, withoutEntry } from "../tree/tree.ts";
import { parseFile } from "./documents.ts";
import { mergeGroup } from "./group.ts";
import type { LoadOptions } from "./load.ts";
import { Session } from "./session.ts";

/** Variables of the merged files by name; of several uses of one, what each says. Best effort where files are wrong. */
export function fileVariables(
  options: Pick<LoadOptions, "files" | "projectDirectory" | "fs">,
): readonly VariableUse[] {
  const session = new Session(options.fs, new Problems(), false);
  const baseDirectory = options.projectDirectory ?? parentPath(options.files[0] ?? "/");
  const parsed = options.files.map((file) => {
    const context = { file, baseDirectory, environment: new Map<string, string>() };
    return { context, documents: parseFile(session, context) };
  });
  const found = new Map<string, VariableUse>();
  const merged = mergeGroup(session, parsed, []);
  // The project's name is said before its model, in which the reference looks.
  for (const use of usesOf(withoutEntry(merged, "name"))) {
    const before = found.get(use.name);
    found.set(use.name, {
      name: use.name,
      required: use.required || before?.required === true,
      fallback: before?.fallback || use.fallback,
      alternate: before?.alternate || use.alternate,
    });
  }
  return [...found.values()].sort((left, right) => compareBytes(left.name, right.name));
}

function usesOf(tree: Tree): readonly VariableUse[] {
  switch (tree.kind) {
    case "scalar":
      return tree.type === "string" && tree.text.includes("$") ? variableUses(tree.text) : [];
    case "seq":
      return tree.items.flatMap(usesOf);
    case "map":
      return [...tree.entries.values()].flatMap(({ value }) => usesOf(value));
  }
}
