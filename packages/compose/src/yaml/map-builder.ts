/**
 * Builds a mapping key by key: keys must be text and must differ, `<<` takes over other mappings.
 */

import type { Problems } from "../problem.ts";
import {
  type MapEntry,
  type MapTree,
  mapTree,
  type Origin,
  positionOf,
  type Tree,
} from "../tree/tree.ts";
import { mergeInto } from "./merge-key.ts";

/** One mapping while it is read. */
export class MapBuilder {
  readonly #origin: Origin;
  readonly #path: string;
  readonly #problems: Problems;
  readonly #entries = new Map<string, MapEntry>();
  #merged: { readonly at: Origin; readonly value: Tree } | undefined;

  constructor(origin: Origin, path: string, problems: Problems) {
    this.#origin = origin;
    this.#path = path;
    this.#problems = problems;
  }

  /** The key's text; `undefined` after recording that it is not text. */
  key(key: Tree): string | undefined {
    if (key.kind === "scalar" && key.type === "string") return key.text;
    const written = key.kind === "scalar" ? key.text : "";
    return this.#problems.error(key, this.#path, "a key must be text", {
      expected: written === "" ? "a word" : `"${written}" in quotes`,
    });
  }

  /** The path of the value under `key`. */
  pathOf(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  add(key: string, at: Origin, value: Tree): void {
    const first = this.#entries.get(key);
    if (first === undefined) {
      this.#entries.set(key, { key: at, value });
      return;
    }
    const { line } = positionOf(first.key);
    const message = `the key ${JSON.stringify(key)} is there twice (first at line ${line})`;
    this.#problems.error(at, this.pathOf(key), message);
  }

  /** The value of a plain `<<`. */
  merge(at: Origin, value: Tree): void {
    if (this.#merged === undefined) {
      this.#merged = { at, value };
      return;
    }
    const { line } = positionOf(this.#merged.at);
    this.#problems.error(at, this.#path, `the key "<<" is there twice (first at line ${line})`, {
      expected: "one << with a list of mappings: [*a, *b]",
    });
  }

  finish(): MapTree {
    const tree = mapTree(this.#origin, this.#entries);
    return this.#merged === undefined
      ? tree
      : mergeInto(tree, this.#merged.value, this.#path, this.#problems);
  }
}
