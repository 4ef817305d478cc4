/**
 * The codec of a mapping with known keys: which keys there are, how each is read, in which order they are
 * printed. Unknown keys are errors with the nearest known one, `x-` keys are kept as they are.
 */

import { nearestWord } from "@berth/base";
import { isNull, kindName, type MapEntry, type MapTree, type Tree } from "../tree/tree.ts";
import type { Codec, Printed, PrintFormat, Reading } from "./codec.ts";
import { refuse } from "./codec.ts";
import { type Extensions, printExtensions, readExtension } from "./extension.ts";

/** One key of a record. */
export interface Field<T> {
  readonly key: string;
  readonly codec: Codec<T>;
  readonly required?: boolean;
  /** What is expected where the key is required and missing. */
  readonly missing?: string;
  /** Values that would be left out (0, false, empty) are printed. */
  readonly keepZero?: boolean;
  /** What JSON prints when the key is absent: the reference prints some structures always. */
  readonly jsonAbsent?: Printed;
  /** Nothing (`key:`) counts as absent instead of an error. */
  readonly nullable?: boolean;
  /** Accepted and read, never printed. */
  readonly hidden?: boolean;
}

/** The fields of a record of type T, in the order of printing. */
export type Fields<T> = {
  readonly [Name in keyof Omit<T, "extensions">]-?: Field<Exclude<T[Name], undefined>>;
};

/** What else a record does. */
export interface RecordForm {
  /** `x-` keys are errors here, as in the reference. */
  readonly closed?: boolean;
  /** Words that people write here and mean something else, with what they mean. */
  readonly misplaced?: Readonly<Record<string, string>>;
  /** Where a key that is none here belongs, seen from its value. */
  readonly elsewhere?: (key: string, value: Tree) => string | undefined;
  /** Brings a short form (a text) into the mapping that it stands for. */
  readonly expand?: (tree: Tree, path: string, reading: Reading) => Tree | undefined;
  /** What the mapping is, where "a mapping" says too little. */
  readonly expected?: string;
  /** What a short form looks like, for the message and the schema. */
  readonly short?: { readonly words: string; readonly schema: object };
}

/** `key` read by `codec`. */
export function field<T>(
  key: string,
  codec: Codec<T>,
  form: Omit<Field<T>, "key" | "codec"> = {},
): Field<T> {
  return { key, codec, ...form };
}

interface AnyField extends Field<unknown> {
  readonly name: string;
}

/** A codec that also says which keys it knows. */
export interface RecordCodec<T> extends Codec<T> {
  readonly keys: ReadonlyMap<string, Field<unknown>>;
}

/** A mapping with known keys. */
export function record<T extends object>(fields: Fields<T>, form: RecordForm = {}): RecordCodec<T> {
  const all = Object.entries<Field<unknown>>(fields).map(([name, each]) => ({ name, ...each }));
  const byKey = new Map<string, AnyField>(all.map((each) => [each.key, each]));
  return {
    keys: byKey,
    read(tree, path, reading) {
      const map = tree.kind === "map" ? tree : form.expand?.(tree, path, reading);
      if (map?.kind === "map") return readRecord<T>(map, path, reading, { byKey, form });
      if (map === undefined && tree.kind !== "map" && form.expand !== undefined) return undefined;
      const mapping = form.expected ?? "a mapping";
      const expected = form.short === undefined ? mapping : `${form.short.words} or ${mapping}`;
      const suggestion = spacedPair(tree);
      return refuse(reading, tree, path, { found: `is ${kindName(tree)}`, expected, suggestion });
    },
    print: (value, format) => printRecord(value, format, all),
    schema: recordSchema(all, form),
  };
}

/** `image:nginx` was meant as a key with a value. */
function spacedPair(tree: Tree): string | undefined {
  const pair = tree.kind === "scalar" ? /^([a-z_]+):([^\s/].{0,60})$/.exec(tree.text.trim()) : null;
  return pair === null ? undefined : `${pair[1]}: ${pair[2]} (with a space)`;
}

interface Shape {
  readonly byKey: ReadonlyMap<string, AnyField>;
  readonly form: RecordForm;
}

function readRecord<T>(map: MapTree, path: string, reading: Reading, shape: Shape): T | undefined {
  const value: Record<string, unknown> = {};
  const extensions: [string, unknown][] = [];
  let complete = true;
  if (!reading.values.spend(map.entries.size)) return undefined;
  for (const [key, entry] of map.entries) {
    const known = shape.byKey.get(key);
    const next = path === "" ? key : `${path}.${key}`;
    if (known !== undefined) {
      if (known.nullable === true && isNull(entry.value)) continue;
      const read = known.codec.read(entry.value, next, reading);
      if (read !== undefined) value[known.name] = read;
      else if (known.required === true) complete = false;
      if (key.startsWith("x-")) extensions.push([key, readExtension(entry.value)]);
    } else if (key.startsWith("x-") && shape.form.closed !== true) {
      extensions.push([key, readExtension(entry.value)]);
    } else unknownKey(key, entry, next, reading, shape);
  }
  for (const each of shape.byKey.values()) {
    if (each.required !== true || map.entries.has(each.key)) continue;
    complete = false;
    const extras = { absence: true, expected: each.missing } as const;
    reading.problems.error(map, path, `the key ${each.key} is missing`, extras);
  }
  if (extensions.length > 0) value["extensions"] = Object.fromEntries(extensions) as Extensions;
  return complete ? (value as T) : undefined;
}

function unknownKey(
  key: string,
  entry: MapEntry,
  path: string,
  reading: Reading,
  shape: Shape,
): void {
  const { misplaced } = shape.form;
  // A line whose colon is missing was told at the same place.
  if (reading.problems.hasErrorAt(entry.key)) return;
  const known =
    misplaced !== undefined && Object.hasOwn(misplaced, key) ? misplaced[key] : undefined;
  const near =
    known ?? shape.form.elsewhere?.(key, entry.value) ?? nearestWord(key, shape.byKey.keys());
  reading.problems.error(entry.key, path, "unknown key", { suggestion: near });
}

function printRecord<T extends object>(
  value: T,
  format: PrintFormat,
  fields: readonly AnyField[],
): Printed | undefined {
  const printed = new Map<string, Printed>();
  const values = value as Readonly<Record<string, unknown>>;
  for (const each of fields) {
    if (each.hidden === true || each.key.startsWith("x-")) continue;
    const one = values[each.name];
    const shown = one === undefined ? undefined : printField(each, one, format);
    if (shown !== undefined) printed.set(each.key, shown);
    else if (format === "json" && each.jsonAbsent !== undefined)
      printed.set(each.key, each.jsonAbsent);
  }
  if (format === "yaml") {
    const extensions = values["extensions"] as Extensions | undefined;
    for (const [key, one] of printExtensions(extensions, format)) printed.set(key, one);
  }
  return printed;
}

function printField(each: AnyField, value: unknown, format: PrintFormat): Printed | undefined {
  const shown = each.codec.print(value, format);
  if (each.keepZero !== true) return shown;
  if (shown !== undefined) return shown;
  if (typeof value === "number" || typeof value === "boolean") return value;
  return Array.isArray(value) ? [] : "";
}

function recordSchema(fields: readonly AnyField[], form: RecordForm): Codec<unknown>["schema"] {
  const properties = Object.fromEntries(fields.map((each) => [each.key, schemaOf(each)]));
  const required = fields.filter((each) => each.required === true).map((each) => each.key);
  const schema = {
    type: "object",
    properties,
    ...(required.length === 0 ? {} : { required }),
    ...(form.closed === true ? {} : { patternProperties: { "^x-": {} } }),
    additionalProperties: false,
  };
  return form.short === undefined ? schema : { oneOf: [form.short.schema, schema] };
}

function schemaOf(each: AnyField): object {
  if (each.nullable !== true) return each.codec.schema;
  return { oneOf: [each.codec.schema, { type: "null" }] };
}
