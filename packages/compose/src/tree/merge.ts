/**
 * Merging a file over another: the rules of the Compose Specification, as a table over paths.
 *
 * Mappings merge key by key, lists are appended, everything else is replaced; the table names what is different.
 * Duplicates in lists that have an identity (ports, volumes ...) are taken out later, by the readers of those
 * lists, which know the identity. `!reset` and `!override` are applied here. Cost: linear in the smaller tree.
 */

import type { Problems } from "../problem.ts";
import { compareBytes } from "../text/go-number.ts";
import { keyValueMap, namesMap } from "./key-values.ts";
import { type MergeRule, mergeRuleAt, RULES, type SpecialMerge } from "./merge-rules.ts";
import {
  isNull,
  kindName,
  type MapEntry,
  type MapTree,
  mapTree,
  positionOf,
  scalar,
  seqTree,
  type Tree,
  textTree,
  valueAt,
} from "./tree.ts";

interface Place {
  readonly path: string;
  readonly rules: MergeRule | undefined;
}

/** `base` with `over` merged onto it; both whole files. */
export function mergeFiles(base: Tree, over: Tree, problems: Problems): Tree {
  return merge(base, over, { path: "", rules: RULES }, problems);
}

/** The service `base` with `over`, which extends it. */
export function mergeService(base: Tree, over: Tree, path: string, problems: Problems): Tree {
  const rules = mergeRuleAt(mergeRuleAt(RULES, "services"), "*");
  return merge(base, over, { path, rules }, problems);
}

/** `tree` without the parts marked `!reset`, for a file that nothing is below of. */
export function settle(tree: Tree): Tree {
  if (tree.kind === "map") {
    let entries: Map<string, MapEntry> | undefined;
    for (const [key, entry] of tree.entries) {
      const value = entry.value.mark === "reset" ? undefined : settle(entry.value);
      if (value === entry.value) continue;
      entries ??= new Map(tree.entries);
      if (value === undefined) entries.delete(key);
      else entries.set(key, { key: entry.key, value });
    }
    return entries === undefined ? tree : { ...tree, entries };
  }
  if (tree.kind !== "seq") return tree;
  const items = tree.items.filter((item) => item.mark !== "reset").map(settle);
  const same =
    items.length === tree.items.length && items.every((item, at) => item === tree.items[at]);
  return same ? tree : { ...tree, items };
}

function merge(base: Tree, over: Tree, place: Place, problems: Problems): Tree {
  if (over.mark === "override") return settle(over);
  const special = place.rules?.special;
  if (special === "replace") return isNull(over) ? over : settle(over);
  if (isNull(over)) return base;
  if (isNull(base)) return settle(over);
  if (special !== undefined) {
    const pair = SPECIALS[special](base, isEmpty(over) ? emptyLike(over, special) : over);
    if (pair === undefined) return settle(over);
    if (special === "keyValues") {
      return mergeTables(inLineOrder(pair[0], base), inLineOrder(pair[1], over), place, problems);
    }
    return mergeAlike(pair[0], pair[1], place, problems);
  }
  return mergeAlike(base, over, place, problems);
}

/** An empty text, list or mapping: laid over a table or a list it says nothing, whatever its kind. */
function isEmpty(tree: Tree): boolean {
  if (tree.kind === "scalar") return tree.type === "string" && tree.text === "";
  return tree.kind === "map" ? tree.entries.size === 0 : tree.items.length === 0;
}

const TABLES: ReadonlySet<SpecialMerge> = new Set(["keyValues", "names", "dependencies"]);

function emptyLike(tree: Tree, special: SpecialMerge): Tree {
  if (TABLES.has(special) || (special === "build" && tree.kind === "seq"))
    return mapTree(tree, new Map());
  return special === "list" && tree.kind === "map" ? seqTree(tree, []) : tree;
}

/** Lines of a mapping are sorted, those of a list stay in their order. */
function inLineOrder(table: Tree, written: Tree): Tree {
  if (table.kind !== "map" || written.kind !== "map" || written.isLines === true) return table;
  const line = ([key, { value }]: readonly [string, MapEntry]) =>
    isNull(value) ? key : `${key}=${textOf(value)}`;
  const entries = [...table.entries].sort((left, right) => compareBytes(line(left), line(right)));
  return { ...table, entries: new Map(entries) };
}

/** Tables are lists of lines to the reference: a later line without a value takes the place of one with a value. */
function mergeTables(base: Tree, over: Tree, place: Place, problems: Problems): Tree {
  if (base.kind !== "map" || over.kind !== "map") return mergeAlike(base, over, place, problems);
  const entries = new Map<string, MapEntry>(base.entries);
  for (const [key, entry] of over.entries) {
    if (entry.value.mark === "reset") entries.delete(key);
    else entries.set(key, { key: entry.key, value: settle(entry.value) });
  }
  return { ...mapTree(over, entries), isLines: true };
}

function mergeAlike(base: Tree, over: Tree, place: Place, problems: Problems): Tree {
  if (base.kind === "map" && over.kind === "map") return mergeMaps(base, over, place, problems);
  if (base.kind === "seq" && over.kind === "seq") {
    return seqTree(over, [...base.items, ...(settle(over) as typeof over).items]);
  }
  if (base.kind === "scalar" && over.kind !== "scalar") return unlike(base, over, place, problems);
  if (base.kind !== "scalar") return unlike(base, over, place, problems);
  return over;
}

function unlike(base: Tree, over: Tree, place: Place, problems: Problems): Tree {
  // A scalar that becomes a list or a mapping is the reference's plain replacement.
  if (base.kind === "scalar") return settle(over);
  const { line } = positionOf(base);
  problems.error(
    over,
    place.path,
    `is ${kindName(over)} here and ${kindName(base)} in ${base.source.file}:${line}; they cannot be merged`,
  );
  return base;
}

function mergeMaps(base: MapTree, over: MapTree, place: Place, problems: Problems): MapTree {
  const entries = new Map<string, MapEntry>(base.entries);
  for (const [key, entry] of over.entries) {
    const existing = entries.get(key);
    if (entry.value.mark === "reset") entries.delete(key);
    else if (existing === undefined || key.startsWith("x-")) {
      entries.set(key, { key: entry.key, value: settle(entry.value) });
    } else {
      const next = {
        path: place.path === "" ? key : `${place.path}.${key}`,
        rules: mergeRuleAt(place.rules, key),
      };
      const value = merge(existing.value, entry.value, next, problems);
      entries.set(key, { key: entry.key, value });
    }
  }
  return mapTree(over, entries);
}

type Pair = readonly [Tree, Tree] | undefined;

/** Brings both sides into forms that merge alike; `undefined` when the later one replaces the earlier. */
const SPECIALS = {
  keyValues: (base: Tree, over: Tree): Pair => [keyValueMap(base, "="), keyValueMap(over, "=")],
  names: (base: Tree, over: Tree): Pair => [namesMap(base), namesMap(over)],
  dependencies: (base: Tree, over: Tree): Pair => [asDependencies(base), asDependencies(over)],
  list: (base: Tree, over: Tree): Pair => [asList(base), asList(over)],
  hosts: (base: Tree, over: Tree): Pair => [
    hostList(base),
    withoutKnown(hostList(over), hostList(base)),
  ],
  build: (base: Tree, over: Tree): Pair => [asBuild(base), asBuild(over)],
  ulimit: (): Pair => undefined,
  logging: (base: Tree, over: Tree): Pair => {
    const before = valueAt(base, "driver");
    const after = valueAt(over, "driver");
    const same = before === undefined || after === undefined || textOf(before) === textOf(after);
    return same ? [base, over] : undefined;
  },
  ipamConfig: (base: Tree, over: Tree): Pair => [bySubnet(base), bySubnet(over)],
} as const;

/** A list of names says of each that it must have started, also over one that said more. */
function asDependencies(tree: Tree): Tree {
  if (tree.kind !== "seq") return tree;
  const entries = tree.items.flatMap((item): readonly [string, MapEntry][] => {
    if (item.kind !== "scalar") return [];
    const condition = { key: item, value: textTree(item, "service_started") };
    const required = { key: item, value: scalar(item, "bool", "true") };
    const value = mapTree(
      item,
      new Map([
        ["condition", condition],
        ["required", required],
      ]),
    );
    return [[item.text, { key: item, value }]];
  });
  return entries.length === tree.items.length ? mapTree(tree, new Map(entries)) : tree;
}

function textOf(tree: Tree): string {
  return tree.kind === "scalar" ? tree.text : "";
}

function asList(tree: Tree): Tree {
  return tree.kind === "scalar" ? seqTree(tree, [tree]) : tree;
}

function asBuild(tree: Tree): Tree {
  if (tree.kind !== "scalar") return tree;
  return mapTree(tree, new Map([["context", { key: tree, value: tree }]]));
}

/** `extra_hosts` as a list of `host=address`. */
function hostList(tree: Tree): Tree {
  if (tree.kind !== "map") return tree;
  const items: Tree[] = [];
  for (const [host, { value }] of tree.entries) {
    const addresses = value.kind === "seq" ? value.items : [value];
    for (const address of addresses) items.push(textTree(address, `${host}=${textOf(address)}`));
  }
  return seqTree(tree, items);
}

function withoutKnown(tree: Tree, base: Tree): Tree {
  if (tree.kind !== "seq" || base.kind !== "seq") return tree;
  const known = new Set(base.items.map(textOf));
  return seqTree(
    tree,
    tree.items.filter((item) => !known.has(textOf(item))),
  );
}

/** Address pools merge by their subnet; the list becomes a mapping and is read back by its reader. */
function bySubnet(tree: Tree): Tree {
  if (tree.kind !== "seq") return tree;
  const entries = new Map<string, MapEntry>();
  for (const [index, item] of tree.items.entries()) {
    const subnet = valueAt(item, "subnet");
    entries.set(subnet === undefined ? `\0${index}` : textOf(subnet), { key: item, value: item });
  }
  return mapTree(tree, entries);
}
