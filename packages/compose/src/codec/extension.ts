/**
 * Extensions: what stands under `x-` keys, kept as plain values and printed back.
 */

import { rfc3339 } from "../text/go-time.ts";
import type { Tree } from "../tree/tree.ts";
import type { Printed, PrintedNumber, PrintFormat } from "./codec.ts";
import { keyOrder } from "./key-order.ts";

/** `x-` keys with their values as printed trees. */
export type Extensions = Readonly<Record<string, Printed>>;

/** The value of an extension, whatever it is. */
export function readExtension(tree: Tree): Printed {
  switch (tree.kind) {
    case "seq":
      return tree.items.map(readExtension);
    case "map":
      return new Map(
        [...tree.entries].map(([key, { value }]): [string, Printed] => [key, readExtension(value)]),
      );
    case "scalar":
      break;
  }
  switch (tree.type) {
    case "null":
      return null;
    case "bool":
      return tree.text === "true";
    case "int":
    case "float":
      return { numberText: tree.text };
    case "string":
      return tree.text;
    case "timestamp":
      // Not a number, but like one without quotes in YAML.
      return { numberText: rfc3339(tree.text) };
  }
}

/** Extensions with their keys in the order of printing, all the way down. */
export function printExtensions(
  extensions: Extensions | undefined,
  format: PrintFormat,
): readonly (readonly [string, Printed])[] {
  return Object.entries(extensions ?? {})
    .sort(keyOrder(format))
    .map(([key, value]) => [key, inOrder(value, format)] as const);
}

/** `value` with its keys in the order of printing, all the way down. */
export function inOrder(value: Printed, format: PrintFormat): Printed {
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, Printed>)].sort(keyOrder(format));
    return new Map(entries.map(([key, each]) => [key, inOrder(each, format)]));
  }
  if (value !== null && typeof value === "object" && "numberText" in value) {
    return format === "json" ? jsonNumber(value) : value;
  }
  if (!Array.isArray(value)) return value;
  // The reference's JSON has nothing where an extension has an empty list.
  if (value.length === 0) return format === "json" ? null : value;
  return value.map((each: Printed) => inOrder(each, format));
}

/** JSON has a notation of floats of its own, none for what is not finite, and dates are texts in it. */
function jsonNumber(value: PrintedNumber): Printed {
  if (/^-?\d+$/.test(value.numberText)) return value;
  if (/^\d{4}-\d\d-\d\dT/.test(value.numberText)) return value.numberText;
  const number = Number(value.numberText);
  return Number.isFinite(number) ? { numberText: String(number) } : null;
}
