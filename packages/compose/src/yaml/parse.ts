/**
 * From a file's text to trees, one for each YAML document in it.
 *
 * The grammar is the `yaml` package's; anchors, aliases, merge keys, tags and duplicate keys are resolved here,
 * because a problem with them must name its place, and because aliases must not be able to blow up: an alias
 * shares the tree of its anchor, and the number of values that sharing adds is counted and bounded.
 */

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { DEPTH_MAX } from "../limits.ts";
import type { Problems } from "../problem.ts";
import {
  type MapEntry,
  mapTree,
  nullTree,
  type Origin,
  type Source,
  scalar,
  seqTree,
  type Tree,
  textTree,
} from "../tree/tree.ts";
import { Anchors } from "./anchors.ts";
import { mergeInto } from "./merge-key.ts";
import { resolvePlain } from "./plain-scalar.ts";
import { applyTag } from "./tag.ts";

/** Parses `source`; what is wrong goes to `problems`. */
export function parseYaml(source: Source, problems: Problems): readonly Tree[] {
  let documents: readonly Document.Parsed[];
  try {
    const parsed = parseAllDocuments(source.text, {
      schema: "failsafe",
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
      logLevel: "silent",
      merge: false,
    });
    documents = Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.error({ source, offset: 0 }, "", `is nested deeper than ${DEPTH_MAX} levels`);
    return [];
  }
  return documents.map((document) => new Converter(source, problems).document(document));
}

/** Converts one document. */
class Converter {
  readonly #source: Source;
  readonly #problems: Problems;
  readonly #anchors: Anchors;

  constructor(source: Source, problems: Problems) {
    this.#source = source;
    this.#problems = problems;
    this.#anchors = new Anchors(problems);
  }

  document(document: Document.Parsed): Tree {
    for (const error of document.errors) {
      this.#problems.error(this.#at(error.pos[0]), "", sentence(error.message));
    }
    return this.#node(document.contents, 0, "");
  }

  #at(offset: number): Origin {
    return { source: this.#source, offset };
  }

  #node(node: Node | null, depth: number, path: string, fallback = 0): Tree {
    if (node === null) return nullTree(this.#at(fallback));
    const origin = this.#at(node.range?.[0] ?? fallback);
    if (depth > DEPTH_MAX) {
      this.#problems.error(origin, path, `is nested deeper than ${DEPTH_MAX} levels`);
      return nullTree(origin);
    }
    if (isAlias(node)) return this.#anchors.use((node as Alias).source, origin, path);
    const anchor = (node as Scalar | YAMLMap | YAMLSeq).anchor;
    if (anchor !== undefined) this.#anchors.open(anchor, path);
    const tree = applyTag(this.#plain(node, origin, depth, path), node.tag, path, this.#problems);
    this.#anchors.count(tree);
    if (anchor !== undefined) this.#anchors.close(anchor, tree);
    return tree;
  }

  #plain(node: Node, origin: Origin, depth: number, path: string): Tree {
    if (isMap(node)) return this.#map(node as YAMLMap<Node, Node | null>, origin, depth, path);
    if (isSeq(node)) {
      const items = (node as YAMLSeq<Node | null>).items.map((item, index) =>
        this.#node(item, depth + 1, `${path}[${index}]`, origin.offset),
      );
      return seqTree(origin, items);
    }
    return isScalar(node) ? scalarTree(node, origin) : nullTree(origin);
  }

  #map(map: YAMLMap<Node, Node | null>, origin: Origin, depth: number, path: string): Tree {
    const entries = new Map<string, MapEntry>();
    const merged: Tree[] = [];
    for (const pair of map.items) {
      const keyOrigin = this.#at(pair.key?.range?.[0] ?? origin.offset);
      const key = this.#key(pair, keyOrigin, path);
      if (key === undefined) continue;
      const next = path === "" ? key : `${path}.${key}`;
      const value = this.#node(pair.value, depth + 1, next, keyOrigin.offset);
      if (key === "<<" && isPlainKey(pair)) merged.push(value);
      else if (entries.has(key)) this.#duplicate(key, keyOrigin, next, entries.get(key));
      else entries.set(key, { key: keyOrigin, value });
    }
    const tree = mapTree(origin, entries);
    return merged.length === 0 ? tree : mergeInto(tree, merged, path, this.#problems);
  }

  #key(pair: Pair<Node, Node | null>, origin: Origin, path: string): string | undefined {
    const key = this.#node(pair.key, 0, path, origin.offset);
    if (key.kind === "scalar" && key.type === "string") return key.text;
    const written = key.kind === "scalar" ? key.text : "";
    return this.#problems.error(origin, path, "a key must be text", {
      expected: written === "" ? "a word" : `"${written}" in quotes`,
    });
  }

  #duplicate(key: string, origin: Origin, path: string, first: MapEntry | undefined): void {
    const line = first === undefined ? "" : ` (first at line ${this.#lineOf(first.key)})`;
    this.#problems.error(origin, path, `the key ${JSON.stringify(key)} is there twice${line}`);
  }

  #lineOf(origin: Origin): number {
    return this.#source.text.slice(0, origin.offset).split("\n").length;
  }
}

function isPlainKey(pair: Pair<Node, Node | null>): boolean {
  return isScalar(pair.key) && pair.key.type === "PLAIN";
}

function scalarTree(node: Scalar, origin: Origin): Tree {
  const text = typeof node.value === "string" ? node.value : String(node.value ?? "");
  if (node.type !== "PLAIN" && node.type !== undefined) return textTree(origin, text);
  const resolved = resolvePlain(text);
  return scalar(origin, resolved.type, resolved.text);
}

/** The package's messages start in upper case and end in " at line ..." only with pretty errors. */
function sentence(message: string): string {
  return `is not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}
