/**
 * Codecs of lists and tables: lists with and without an identity of their items, tables in both spellings.
 */

import { nearestWord } from "@berth/base";
import { keyValueMap, namesMap } from "../tree/key-values.ts";
import { isNull, kindName, type MapTree, type SeqTree, type Tree } from "../tree/tree.ts";
import { type Codec, type Printed, type PrintFormat, type Reading, refuse } from "./codec.ts";
import { keyOrder } from "./key-order.ts";
import { text } from "./scalar-codecs.ts";

/** How a list treats items that are alike. */
export interface ListForm<T> {
  /** Items with the same identity: the later one stands in the earlier one's place. */
  readonly identity?: (item: T) => string;
  /** A single value may stand for a list of one. */
  readonly single?: boolean;
  /** Items that are alike are an error, as in the reference. */
  readonly distinct?: boolean;
}

/** A list. */
export function list<T>(item: Codec<T>, form: ListForm<T> = {}): Codec<readonly T[]> {
  return {
    read(tree, path, reading) {
      if (form.single === true && tree.kind === "scalar" && !isNull(tree)) {
        const only = item.read(tree, path, reading);
        return only === undefined ? undefined : [only];
      }
      if (tree.kind !== "seq") {
        const expected = form.single === true ? "a text or a list" : "a list";
        const suggestion = listMeant(tree);
        return refuse(reading, tree, path, { found: `is ${kindName(tree)}`, expected, suggestion });
      }
      const items = readItems(tree, path, reading, item);
      if (form.distinct === true) refuseRepeated(tree, path, reading);
      return form.identity === undefined ? items : uniqueBy(items, form.identity);
    },
    print: (items, format) => {
      if (items.length === 0) return undefined;
      // What a key leaves out for being empty, a list must show: its place counts.
      return items.map((one) => item.print(one, format) ?? (one === "" ? "" : null));
    },
    schema: listSchema(item, form.single === true),
  };
}

/** A single text is a list of one, `data: /data` is `data:/data`. */
function listMeant(tree: Tree): string | undefined {
  if (tree.kind === "scalar") return isNull(tree) ? undefined : `[${JSON.stringify(tree.text)}]`;
  if (tree.kind !== "map" || tree.entries.size !== 1) return undefined;
  const [[key, { value }] = ["", { value: tree }]] = tree.entries;
  return value.kind === "scalar" && value.text !== "" ? `["${key}:${value.text}"]` : undefined;
}

function listSchema<T>(item: Codec<T>, single: boolean): Codec<T>["schema"] {
  const many = { type: "array", items: item.schema };
  return single ? { oneOf: [item.schema, many] } : many;
}

function readItems<T>(tree: SeqTree, path: string, reading: Reading, item: Codec<T>): T[] {
  const items: T[] = [];
  if (!reading.values.spend(tree.items.length)) return items;
  for (const [index, each] of tree.items.entries()) {
    const value = item.read(each, `${path}[${index}]`, reading);
    if (value !== undefined) items.push(value);
  }
  return items;
}

function refuseRepeated(tree: SeqTree, path: string, reading: Reading): void {
  const seen = new Set<string>();
  for (const [index, item] of tree.items.entries()) {
    if (item.kind !== "scalar") continue;
    if (seen.has(item.text)) {
      reading.problems.error(
        item,
        `${path}[${index}]`,
        `${JSON.stringify(item.text)} is there twice`,
      );
    }
    seen.add(item.text);
  }
}

/** The items without earlier ones of the same identity; places are kept. */
export function uniqueBy<T>(items: readonly T[], identity: (item: T) => string): readonly T[] {
  const places = new Map<string, number>();
  const unique: T[] = [];
  for (const item of items) {
    const key = identity(item);
    const place = places.get(key);
    if (place === undefined) places.set(key, unique.push(item) - 1);
    else unique[place] = item;
  }
  return unique;
}

/** The part before `=`: what most lists of texts are told apart by. */
export function beforeEquals(item: string): string {
  const at = item.indexOf("=");
  return at < 0 ? item : item.slice(0, at);
}

/** A list of texts. */
export const texts = list(text);
/** A list of texts, told apart by what is before `=`. */
export const uniqueTexts = list(text, { identity: beforeEquals });
/** A text, or a list of texts told apart by what is before `=`. */
export const textOrTexts = list(text, { identity: beforeEquals, single: true });
/** A list of texts that must differ. */
export const distinctTexts = list(text, { distinct: true });

/** A table of texts; a key without a value is `null`, to be taken from the environment. */
export const environmentTable: Codec<Readonly<Record<string, string | null>>> = {
  read: (tree, path, reading) => readTable(tree, path, reading, (value) => value),
  print: (table, format) => printTable(table, format),
  schema: tableSchema(),
};

/** A table of texts; a key without a value is the empty text. */
export const textTable: Codec<Readonly<Record<string, string>>> = {
  read: (tree, path, reading) => readTable(tree, path, reading, (value) => value ?? ""),
  print: (table, format) => printTable(table, format),
  schema: tableSchema(),
};

/** A table of texts in mapping form only (options of drivers), whose values may be of some types and no other. */
export function optionTable(
  types: readonly ("string" | "int" | "float" | "null")[],
): Codec<Readonly<Record<string, string>>> {
  const allowed: ReadonlySet<string> = new Set([...types, "timestamp"]);
  return {
    read(tree, path, reading) {
      if (tree.kind !== "map") {
        return refuse(reading, tree, path, {
          found: `is ${kindName(tree)}`,
          expected: "a mapping",
        });
      }
      let good = true;
      for (const [key, { value }] of tree.entries) {
        if (value.kind !== "scalar" || allowed.has(value.type)) continue;
        good = false;
        refuse(reading, value, `${path}.${key}`, {
          found: `is ${kindName(value)}`,
          expected: value.type === "null" ? "text" : `text: "${value.text}" in quotes`,
        });
      }
      const read = textTable.read(tree, path, reading);
      return good ? read : undefined;
    },
    print: (table, format) => printTable(table, format),
    schema: {
      type: "object",
      additionalProperties: { type: types.map((type) => SCHEMA_TYPES[type]) },
    },
  };
}

const SCHEMA_TYPES = { string: "string", int: "integer", float: "number", null: "null" } as const;

/** Options of drivers of networks, volumes and secrets. */
export const driverOptions = optionTable(["string", "int", "float"]);

function tableSchema(): Codec<unknown>["schema"] {
  const value = { type: ["string", "number", "boolean", "null"] };
  return {
    oneOf: [
      { type: "object", additionalProperties: value },
      { type: "array", items: { type: "string" } },
    ],
  };
}

function readTable<T>(
  tree: Tree,
  path: string,
  reading: Reading,
  finish: (value: string | null) => T,
): Readonly<Record<string, T>> | undefined {
  if (tree.kind === "seq" && !allTexts(tree, path, reading)) return undefined;
  const table = keyValueMap(tree, "=");
  if (table.kind !== "map") {
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "a mapping or a list of NAME=value",
    });
  }
  const entries: [string, T][] = [];
  if (!reading.values.spend(table.entries.size)) return undefined;
  const isMapping = tree.kind === "map" && tree.isLines !== true;
  for (const [key, { key: origin, value }] of table.entries) {
    if (key === "" && isMapping) {
      refuse(reading, origin, path, { found: "has an empty name", expected: "a word" });
      continue;
    }
    const read = tableValue(value, `${path}.${key}`, reading);
    if (read !== undefined) entries.push([key, finish(read)]);
  }
  return Object.fromEntries(entries);
}

function tableValue(tree: Tree, path: string, reading: Reading): string | null | undefined {
  if (isNull(tree)) return null;
  if (tree.kind === "scalar") return tree.text;
  return refuse(reading, tree, path, {
    found: `is ${kindName(tree)}`,
    expected: "text, a number, true, false or nothing",
  });
}

function allTexts(tree: SeqTree, path: string, reading: Reading): boolean {
  const before = reading.problems.hasErrors;
  let good = true;
  for (const [index, item] of tree.items.entries()) {
    if (item.kind === "scalar" && item.type === "string") continue;
    good = false;
    refuse(reading, item, `${path}[${index}]`, {
      found: `is ${kindName(item)}`,
      expected: "NAME=value as text",
      suggestion: pairMeant(item),
    });
  }
  return good || before === undefined;
}

/** `- A: 1` is `- A=1`. */
function pairMeant(item: Tree): string | undefined {
  if (item.kind !== "map" || item.entries.size !== 1) return undefined;
  const [[key, { value }] = ["", { value: item }]] = item.entries;
  return value.kind === "scalar" ? `${key}=${value.text}` : undefined;
}

function printTable(
  table: Readonly<Record<string, string | null>>,
  format: PrintFormat,
): Printed | undefined {
  const entries = Object.entries(table);
  if (entries.length === 0) return undefined;
  return new Map(entries.sort(keyOrder(format)));
}

/** Which names a table may have. */
interface TableNames {
  readonly names?: RegExp;
  /** What `names` holds for, in words; for names of things of the file there is no need to. */
  readonly namesExpected?: string;
  /** Names to suggest. */
  readonly likelyNames?: readonly string[];
}

/** A mapping of names to values of one kind. */
export function tableOf<T>(
  item: Codec<T>,
  form: TableNames & { readonly list?: boolean; readonly keepEmpty?: boolean } = {},
): Codec<Readonly<Record<string, T>>> {
  const mapping = { type: "object", additionalProperties: item.schema };
  return {
    read(tree, path, reading) {
      const map = form.list === true ? namesMap(tree) : tree;
      if (tree.kind === "seq") refuseRepeated(tree, path, reading);
      if (map.kind !== "map") {
        const expected = form.list === true ? "a mapping or a list of names" : "a mapping";
        return refuse(reading, tree, path, { found: `is ${kindName(tree)}`, expected });
      }
      return readTableOf(map, path, reading, { item, ...form });
    },
    print(table, format) {
      const entries = Object.entries(table).sort(keyOrder(format));
      if (entries.length === 0 && form.keepEmpty !== true) return undefined;
      return new Map(entries.map(([key, value]) => [key, item.print(value, format) ?? null]));
    },
    schema: form.list === true ? { oneOf: [NAMES_SCHEMA, mapping] } : mapping,
  };
}

const NAMES_SCHEMA = { type: "array", items: { type: "string" } };

function readTableOf<T>(
  map: MapTree,
  path: string,
  reading: Reading,
  form: TableNames & { readonly item: Codec<T> },
): Readonly<Record<string, T>> {
  const entries: [string, T][] = [];
  if (!reading.values.spend(map.entries.size)) return {};
  for (const [key, { key: origin, value }] of map.entries) {
    if (form.names !== undefined && !form.names.test(key)) {
      refuse(reading, origin, `${path}.${key}`, {
        found: `${JSON.stringify(key)} is not a valid name`,
        expected: form.namesExpected ?? "letters, digits, '.', '_' and '-'",
        suggestion: nearestWord(key, form.likelyNames ?? []),
      });
      continue;
    }
    const read = form.item.read(value, `${path}.${key}`, reading);
    if (read !== undefined) entries.push([key, read]);
  }
  return Object.fromEntries(entries);
}

/** `codec`, where nothing may stand for an empty value. */
export function orNothing<T>(codec: Codec<T>, nothing: T): Codec<T> {
  return {
    read: (tree, path, reading) => (isNull(tree) ? nothing : codec.read(tree, path, reading)),
    print: (value, format) => codec.print(value, format),
    schema: { oneOf: [codec.schema, { type: "null" }] },
  };
}
