/**
 * From a place in the model back to the place in the files: for problems that are found later, by the loader itself
 * or by the platform ("this port is taken").
 */

import type { ProblemExtras, Problems } from "../problem.ts";
import { type Origin, positionOf, type Tree } from "../tree/tree.ts";

/** Where something was written. */
export interface SourcePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Answers where parts of a loaded project were written. */
export interface SourceMap {
  /** The place of `services.web.ports[0]`, or of the nearest thing above it that was written. */
  find(path: string): SourcePlace | undefined;
}

/** The source map of a merged tree. */
export class TreeSourceMap implements SourceMap {
  readonly #root: Tree;

  constructor(root: Tree) {
    this.#root = root;
  }

  find(path: string): SourcePlace | undefined {
    const origin = this.origin(path);
    if (origin.source.file === "") return undefined;
    return { file: origin.source.file, ...positionOf(origin) };
  }

  /** Whether `path` was written down to its last key. */
  has(path: string): boolean {
    let tree: Tree | undefined = this.#root;
    let rest = path;
    while (rest !== "" && tree !== undefined) {
      const step = stepInto(tree, rest);
      if (step === undefined) return false;
      tree = step.value;
      rest = step.rest;
    }
    return rest === "";
  }

  /** The origin of a path's last key that was written. Keys with dots in them are matched whole. */
  origin(path: string): Origin {
    let origin: Origin = this.#root;
    let tree: Tree | undefined = this.#root;
    let rest = path;
    while (rest !== "" && tree !== undefined) {
      const step = stepInto(tree, rest);
      if (step === undefined) return origin;
      origin = step.origin;
      tree = step.value;
      rest = step.rest;
    }
    return origin;
  }

  /** Records an error at `path`. */
  error(problems: Problems, path: string, message: string, extras: ProblemExtras = {}): void {
    problems.error(this.origin(path), path, message, extras);
  }
}

interface PathStep {
  readonly origin: Origin;
  readonly value: Tree | undefined;
  readonly rest: string;
}

function stepInto(tree: Tree, path: string): PathStep | undefined {
  const index = /^\[(\d+)\]\.?/.exec(path);
  if (index !== null && tree.kind === "seq") {
    const item = tree.items[Number(index[1])];
    return item === undefined
      ? undefined
      : { origin: item, value: item, rest: path.slice(index[0].length) };
  }
  if (tree.kind === "seq") return listStep(tree.items, path);
  if (tree.kind !== "map") return undefined;
  for (let end = path.length; end > 0; end = lastBreak(path, end)) {
    const entry = tree.entries.get(path.slice(0, end));
    if (entry === undefined) continue;
    const rest = path.slice(end).replace(/^\./, "");
    return { origin: entry.key, value: entry.value, rest };
  }
  return undefined;
}

/** A name looked for in a list that stands for a table: `depends_on: [db]`, `environment: [A=1]`. */
function listStep(items: readonly Tree[], path: string): PathStep | undefined {
  const item = items.find(
    (each) => each.kind === "scalar" && (each.text === path || each.text.startsWith(`${path}=`)),
  );
  return item === undefined ? undefined : { origin: item, value: undefined, rest: "" };
}

function lastBreak(path: string, before: number): number {
  return Math.max(path.lastIndexOf(".", before - 1), path.lastIndexOf("[", before - 1));
}
