/**
 * The tree that a Compose file becomes: every value knows the file and the offset it was read from, and
 * keeps knowing it through interpolation, extends, include and merge, so that a problem can be named where
 * it was written and not where it was noticed.
 *
 * Trees are never changed after they were made; merging shares the parts that it keeps. Scalars hold the text
 * that Go's `%v` would print for them, because that is what the reference implementation puts into a container's
 * environment (`1.50` is `1.5` there, `0777` is `511`).
 */

/** One reading of one file. The same file may be read twice with different base directories. */
export interface Source {
  /** As the user named it, absolute. */
  readonly file: string;
  readonly text: string;
  /** Relative paths inside the file mean paths below this directory. */
  readonly baseDirectory: string;
  /** Named by `extends` or `include`. Its paths are said from the project's directory even where none is resolved. */
  readonly isReferenced?: boolean;
}

/** Where a value stands. */
export interface Origin {
  readonly source: Source;
  /** UTF-16 offset into the source's text. */
  readonly offset: number;
}

export type ScalarType = "string" | "int" | "float" | "bool" | "null" | "timestamp";

export interface ScalarTree extends Origin {
  readonly kind: "scalar";
  readonly type: ScalarType;
  readonly text: string;
  readonly mark?: Mark;
}

export interface MapTree extends Origin {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, MapEntry>;
  readonly mark?: Mark;
  /** A table that was merged over another: to the reference it is a list of `key=value` from then on. */
  readonly isLines?: true;
}

export interface SeqTree extends Origin {
  readonly kind: "seq";
  readonly items: readonly Tree[];
  readonly mark?: Mark;
}

/** `!reset` takes away what earlier files said, `!override` replaces it instead of merging. */
export type Mark = "reset" | "override";

export interface MapEntry {
  /** Where the key stands. */
  readonly key: Origin;
  readonly value: Tree;
}

export type Tree = ScalarTree | MapTree | SeqTree;

/** 1-based line and column. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

const lineStarts = new WeakMap<Source, readonly number[]>();

function lineStartsOf(source: Source): readonly number[] {
  const known = lineStarts.get(source);
  if (known !== undefined) return known;
  const starts = [0];
  for (let at = source.text.indexOf("\n"); at >= 0; at = source.text.indexOf("\n", at + 1)) {
    starts.push(at + 1);
  }
  lineStarts.set(source, starts);
  return starts;
}

/** Line and column of an origin: O(log lines), the table of lines is made once per source. */
export function positionOf(origin: Origin): Position {
  const starts = lineStartsOf(origin.source);
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= origin.offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: origin.offset - (starts[low] ?? 0) + 1 };
}

export function scalar(origin: Origin, type: ScalarType, text: string): ScalarTree {
  return { kind: "scalar", type, text, source: origin.source, offset: origin.offset };
}

export function textTree(origin: Origin, text: string): ScalarTree {
  return scalar(origin, "string", text);
}

export function nullTree(origin: Origin): ScalarTree {
  return scalar(origin, "null", "");
}

export function mapTree(origin: Origin, entries: ReadonlyMap<string, MapEntry>): MapTree {
  return { kind: "map", entries, source: origin.source, offset: origin.offset };
}

export function seqTree(origin: Origin, items: readonly Tree[]): SeqTree {
  return { kind: "seq", items, source: origin.source, offset: origin.offset };
}

export function isNull(tree: Tree | undefined): boolean {
  return tree?.kind === "scalar" && tree.type === "null";
}

/** The value under `key` of a map; `undefined` for anything else. */
export function valueAt(tree: Tree | undefined, key: string): Tree | undefined {
  return tree?.kind === "map" ? tree.entries.get(key)?.value : undefined;
}

/** A copy of `map` with `key` set. */
export function withEntry(map: MapTree, key: string, entry: MapEntry): MapTree {
  const entries = new Map(map.entries);
  entries.set(key, entry);
  return { ...map, entries };
}

/** A copy of `map` without `key`. */
export function withoutEntry(map: MapTree, key: string): MapTree {
  if (!map.entries.has(key)) return map;
  const entries = new Map(map.entries);
  entries.delete(key);
  return { ...map, entries };
}

/** A short word for what a value is, as messages name it. */
export function kindName(tree: Tree): string {
  if (tree.kind === "map") return "a mapping";
  if (tree.kind === "seq") return "a list";
  switch (tree.type) {
    case "string":
      return JSON.stringify(tree.text.length > 60 ? `${tree.text.slice(0, 57)}...` : tree.text);
    case "null":
      return "nothing";
    case "int":
    case "float":
      return `the number ${tree.text}`;
    case "bool":
      return tree.text;
    case "timestamp":
      return `the date ${tree.text.replace(/(?: 00:00:00)? \+0000 UTC$/, "")}`;
  }
}
