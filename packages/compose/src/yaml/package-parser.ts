/**
 * YAML by the `yaml` package: the whole grammar, and messages for what is not YAML.
 *
 * Four to ten times slower than our own reader (fast-parser.ts), which hands over what it does not know.
 */

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { DEPTH_MAX } from "../limits.ts";
import type { Problems } from "../problem.ts";
import {
  nullTree,
  type Origin,
  type Source,
  scalar,
  seqTree,
  type Tree,
  textTree,
} from "../tree/tree.ts";
import { Anchors } from "./anchors.ts";
import { MapBuilder } from "./map-builder.ts";
import { resolvePlain } from "./plain-scalar.ts";
import type { ReadText } from "./recover.ts";
import { applyTag } from "./tag.ts";
import { yamlProblem } from "./yaml-words.ts";

/** Parses `source`. Problems of content go to `problems`, the first mistake of syntax is part of the answer. */
export function parseWithPackage(source: Source, problems: Problems): ReadText {
  try {
    const parsed = parseAllDocuments(source.text, {
      schema: "failsafe",
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
      logLevel: "silent",
      merge: false,
    });
    const documents: readonly Document.Parsed[] = Array.isArray(parsed) ? parsed : [];
    const broken = documents.find((document) => document.errors.length > 0);
    const [first] = broken?.errors ?? [];
    if (broken !== undefined && first !== undefined) {
      // What the package makes of a broken text would only add problems that are none.
      return { trees: [], mistake: yamlProblem(first, source.text, broken) };
    }
    return {
      trees: documents.map((document) => new Converter(source, problems).document(document)),
    };
  } catch (error) {
    // The package recurses: nesting far over the limit ends its stack, and only that is expected here.
    if (!(error instanceof RangeError)) throw error;
    problems.error({ source, offset: 0 }, "", `is nested deeper than ${DEPTH_MAX} levels`);
    return { trees: [] };
  }
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
    return this.#node(document.contents, { depth: 0, path: "", fallback: 0 });
  }

  #at(offset: number): Origin {
    return { source: this.#source, offset };
  }

  #node(node: Node | null, place: Place): Tree {
    const { depth, path } = place;
    if (node === null) return nullTree(this.#at(place.fallback));
    // An empty value has a place of its own in the package; its key is where people look.
    const empty = isScalar(node) && node.source === "" && node.type === "PLAIN";
    const origin = this.#at(empty ? place.fallback : (node.range?.[0] ?? place.fallback));
    if (depth > DEPTH_MAX) {
      this.#problems.error(origin, path, `is nested deeper than ${DEPTH_MAX} levels`);
      return nullTree(origin);
    }
    if (isAlias(node)) return this.#anchors.use((node as Alias).source, origin, path);
    const anchor = (node as Scalar | YAMLMap | YAMLSeq).anchor;
    if (anchor !== undefined) this.#anchors.open(anchor, path);
    const content = this.#content(node, origin, place);
    const tree = applyTag(content, node.tag, path, this.#problems);
    if (anchor !== undefined) this.#anchors.close(anchor, tree);
    return tree;
  }

  #content(node: Node, origin: Origin, { depth, path }: Place): Tree {
    if (isMap(node)) return this.#map(node as YAMLMap<Node, Node | null>, origin, depth, path);
    if (isSeq(node)) {
      const items = (node as YAMLSeq<Node | null>).items.map((item, index) =>
        this.#node(item, {
          depth: depth + 1,
          path: `${path}[${index}]`,
          fallback: origin.offset,
        }),
      );
      return seqTree(origin, items);
    }
    return isScalar(node) ? scalarTree(node, origin) : nullTree(origin);
  }

  #map(map: YAMLMap<Node, Node | null>, origin: Origin, depth: number, path: string): Tree {
    const builder = new MapBuilder(origin, path, this.#problems);
    for (const pair of map.items) {
      const keyTree = this.#node(pair.key, { depth, path, fallback: origin.offset });
      const name = builder.key(keyTree);
      const key = name ?? "";
      const fallback = keyTree.offset;
      const next = { depth: depth + 1, path: builder.pathOf(key), fallback };
      const value = this.#node(pair.value, next);
      const isMerge = key === "<<" && isScalar(pair.key) && pair.key.type === "PLAIN";
      if (isMerge) builder.merge(keyTree, value);
      else if (name !== undefined) builder.add(key, this.#at(fallback), value);
    }
    return builder.finish();
  }
}

interface Place {
  readonly depth: number;
  readonly path: string;
  /** Where an empty value stands: its key, or the list's start. */
  readonly fallback: number;
}

function scalarTree(node: Scalar, origin: Origin): Tree {
  const value = typeof node.value === "string" ? node.value : (node.source ?? "");
  const text = isUnendedBlock(node, origin.source.text) ? value.replace(/\n$/, "") : value;
  if (node.type !== "PLAIN" && node.type !== undefined) return textTree(origin, text);
  const resolved = resolvePlain(text);
  return scalar(origin, resolved.type, resolved.text);
}

/** A block that ends with a file without a line break at its end: see block-scalar.ts. */
function isUnendedBlock(node: Scalar, text: string): boolean {
  if (node.type !== "BLOCK_LITERAL" && node.type !== "BLOCK_FOLDED") return false;
  const last = text.slice(text.lastIndexOf("\n") + 1);
  return (node.range?.[1] ?? 0) >= text.length && last.trim() !== "";
}
