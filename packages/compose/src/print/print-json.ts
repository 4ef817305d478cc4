/**
 * Printed values as JSON text, spaced and escaped as Go's encoder does it.
 */

import type { Printed, PrintedNumber } from "../codec/codec.ts";

/** Two spaces of indent, no newline at the end. */
export function printJson(value: Printed): string {
  return write(value, "");
}

/** Without blanks. */
export function printCompactJson(value: Printed): string {
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, Printed>)];
    return `{${entries.map(([key, each]) => `${quote(key)}:${printCompactJson(each)}`).join(",")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(printCompactJson).join(",")}]`;
  return write(value, "");
}

function write(value: Printed, indent: string): string {
  if (value === null || typeof value === "boolean" || typeof value === "number")
    return String(value);
  if (typeof value === "string") return quote(value);
  if (value instanceof Map) return writeMap(value, indent);
  if (Array.isArray(value)) return writeList(value, indent);
  return (value as PrintedNumber).numberText;
}

function writeMap(map: ReadonlyMap<string, Printed>, indent: string): string {
  if (map.size === 0) return "{}";
  const inner = `${indent}  `;
  const lines = [...map].map(([key, value]) => `${inner}${quote(key)}: ${write(value, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function writeList(items: readonly Printed[], indent: string): string {
  if (items.length === 0) return "[]";
  const inner = `${indent}  `;
  return `[\n${items.map((item) => `${inner}${write(item, inner)}`).join(",\n")}\n${indent}]`;
}

/** Escaped beyond what JSON asks for, so that the text can stand in HTML. */
const ESCAPED: ReadonlySet<string> = new Set(["<", ">", "&", "\u2028", "\u2029"]);

function quote(text: string): string {
  const json = JSON.stringify(text.toWellFormed());
  if (!/[<>&\u2028\u2029]/.test(json)) return json;
  let result = "";
  for (let at = 0; at < json.length; at++) {
    const char = json[at] ?? "";
    if (char === "\\") {
      result += json.slice(at, at + 2);
      at++;
    } else result += ESCAPED.has(char) ? unicodeEscape(char) : char;
  }
  return result;
}

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
