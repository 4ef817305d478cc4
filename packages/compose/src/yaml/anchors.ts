/**
 * Anchors and aliases of one document: sharing with a bound.
 *
 * An alias is the very tree of its anchor. Readers walk a shared tree once for each use, so the work that
 * sharing causes is the number of values it adds; that sum is bounded by ALIAS_NODES_MAX. An alias inside its
 * own anchor would be endless and is drawn as a cycle.
 */

import { nearestWord } from "@berth/base";
import { ALIAS_NODES_MAX } from "../limits.ts";
import type { Problems } from "../problem.ts";
import { nullTree, type Origin, type Tree } from "../tree/tree.ts";

/** The anchors seen so far in one document. */
export class Anchors {
  readonly #problems: Problems;
  readonly #trees = new Map<string, Tree>();
  readonly #open = new Map<string, string>();
  readonly #sizes = new Map<Tree, number>();
  #added = 0;
  #refused = false;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** `name` names the value at `path`, which is being read. */
  open(name: string, path: string): void {
    this.#open.set(name, path);
  }

  close(name: string, tree: Tree): void {
    this.#open.delete(name);
    this.#trees.set(name, tree);
    if (!this.#sizes.has(tree)) this.#sizes.set(tree, this.#sizeOf(tree));
  }

  /** The number of values in `tree`, shared ones counted at each use; anchored parts were counted before. */
  #sizeOf(tree: Tree): number {
    const known = this.#sizes.get(tree);
    if (known !== undefined) return known;
    let size = 1;
    if (tree.kind === "map") {
      for (const { value } of tree.entries.values()) size += this.#sizeOf(value);
    } else if (tree.kind === "seq") {
      for (const item of tree.items) size += this.#sizeOf(item);
    }
    return size;
  }

  /** The tree that the alias `name` stands for. */
  use(name: string, origin: Origin, path: string): Tree {
    const opened = this.#open.get(name);
    if (opened !== undefined) {
      const cycle = `${opened || "the document"} → ${path} → ${opened || "the document"}`;
      this.#problems.error(origin, path, `the alias *${name} is inside its own anchor: ${cycle}`);
      return nullTree(origin);
    }
    const tree = this.#trees.get(name);
    if (tree === undefined) {
      const near = nearestWord(name, this.#trees.keys());
      this.#problems.error(origin, path, `there is no anchor &${name} before this alias`, {
        absence: true,
        suggestion: near === undefined ? undefined : `*${near}`,
      });
      return nullTree(origin);
    }
    this.#added += this.#sizes.get(tree) ?? 1;
    if (this.#added <= ALIAS_NODES_MAX) return tree;
    if (!this.#refused) {
      this.#refused = true;
      const message = `aliases repeat more than ${ALIAS_NODES_MAX} values in this file`;
      this.#problems.error(origin, path, message);
    }
    return nullTree(origin);
  }
}
