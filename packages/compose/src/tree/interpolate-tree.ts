/**
 * Interpolation of a whole tree: every text value (never a key) gets its variables, and what is wrong is named
 * with the place of the variable itself where the file shows it verbatim, of the value otherwise.
 */

import type { Problems } from "../problem.ts";
import { interpolate, type Lookup, type TemplateIssue } from "../text/template.ts";
import type { MapEntry, Origin, ScalarTree, Tree } from "./tree.ts";

/** All values of one load together may grow to this size: refuses a big variable used a million times. */
const INTERPOLATED_TOTAL_CHARS_MAX = 64 * 1024 * 1024;

interface Work {
  readonly lookup: Lookup;
  readonly problems: Problems;
  budget: number;
}

/** `tree` with the variables of `lookup` put into its texts. Parts without a dollar are shared. */
export function interpolateTree(tree: Tree, lookup: Lookup, problems: Problems): Tree {
  return visit(tree, "", { lookup, problems, budget: INTERPOLATED_TOTAL_CHARS_MAX });
}

function visit(tree: Tree, path: string, work: Work): Tree {
  switch (tree.kind) {
    case "scalar":
      return tree.type === "string" ? visitText(tree, path, work) : tree;
    case "seq": {
      let changed = false;
      const items = tree.items.map((item, index) => {
        const next = visit(item, `${path}[${index}]`, work);
        changed ||= next !== item;
        return next;
      });
      return changed ? { ...tree, items } : tree;
    }
    case "map": {
      let changed: Map<string, MapEntry> | undefined;
      for (const [key, entry] of tree.entries) {
        const value = visit(entry.value, path === "" ? key : `${path}.${key}`, work);
        if (value === entry.value) continue;
        changed ??= new Map(tree.entries);
        changed.set(key, { key: entry.key, value });
      }
      return changed === undefined ? tree : { ...tree, entries: changed };
    }
  }
}

function visitText(tree: ScalarTree, path: string, work: Work): Tree {
  if (!tree.text.includes("$")) return tree;
  const result = interpolate(tree.text, work.lookup);
  for (const issue of result.issues) report(issue, tree, path, work.problems);
  work.budget -= result.text.length;
  if (work.budget < 0) {
    work.problems.error(tree, path, "interpolation makes more than 64 MB of text in this file");
    return { ...tree, text: "" };
  }
  return { ...tree, text: result.text };
}

function report(issue: TemplateIssue, tree: ScalarTree, path: string, problems: Problems): void {
  const origin = placeInText(tree, issue.at);
  const name = issue.variable;
  switch (issue.kind) {
    case "unset":
      problems.warn(
        origin,
        path,
        `the variable ${name} is not set; an empty text stands for it${shellHint(path, name)}`,
      );
      return;
    case "required":
      problems.error(
        origin,
        path,
        issue.detail === ""
          ? `the variable ${name} is required and not set`
          : `the variable ${name} is required and not set: ${issue.detail}`,
      );
      return;
    case "syntax":
      problems.error(origin, path, `is not a valid use of a variable: ${issue.detail}`, {
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the words of the language itself
        expected: "${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+text}, or $$ for a dollar",
      });
      return;
    case "limit":
      problems.error(origin, path, issue.detail);
  }
}

/** In commands a variable is often meant for the shell of the container. */
function shellHint(path: string, name: string): string {
  return /\.(command|entrypoint|test)(\[|$)/.test(path)
    ? ` ($$${name} is left to the container)`
    : "";
}

/** The origin of offset `at` of a value's text, as far as the file shows the text as it is. */
function placeInText(tree: ScalarTree, at: number): Origin {
  const { source, offset } = tree;
  const quote = source.text[offset];
  const start = quote === '"' || quote === "'" ? offset + 1 : offset;
  return source.text.startsWith(tree.text.slice(0, at + 1), start)
    ? { source, offset: start + at }
    : tree;
}
