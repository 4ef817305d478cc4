/**
 * Printed values as YAML text in the style of the reference's encoder: two spaces, lists indented under their key.
 */

import type { Printed, PrintedNumber } from "../codec/codec.ts";
import { doubleQuoted, styleOf } from "./yaml-style.ts";

/** Ends in a newline. */
export function printYaml(value: Printed): string {
  const text = block(value, "");
  return `${text.startsWith("\n") ? text.slice(1) : text.trimStart()}\n`;
}

/** The text after `key:` or `-`, with its leading space or newline. */
function block(value: Printed, indent: string): string {
  if (value instanceof Map && value.size > 0) {
    return [...value].map(([key, each]) => `\n${indent}${entry(key, each, indent)}`).join("");
  }
  if (Array.isArray(value) && value.length > 0) {
    return value.map((each) => `\n${indent}-${item(each, indent)}`).join("");
  }
  return ` ${flow(value, indent)}`;
}

/** Keys that stand before a colon; longer ones, in bytes, and those of several lines follow a question mark. */
const SIMPLE_KEY_BYTES_MAX = 128;

function entry(key: string, value: Printed, indent: string): string {
  const isSimple = !key.includes("\n") && Buffer.byteLength(key) <= SIMPLE_KEY_BYTES_MAX;
  if (isSimple) return `${scalar(key, indent, true)}:${nested(value, indent)}`;
  return `? ${scalar(key, indent, false)}\n${indent}:${item(value, indent)}`;
}

function nested(value: Printed, indent: string): string {
  return isComposite(value) ? block(value, `${indent}  `) : ` ${flow(value, indent)}`;
}

/** The first line of a mapping or a list in a list stands beside the dash. */
function item(value: Printed, indent: string): string {
  if (!isComposite(value)) return ` ${flow(value, indent)}`;
  return block(value, `${indent}  `).replace(/^\n */, " ");
}

function isComposite(value: Printed): boolean {
  return value instanceof Map || Array.isArray(value);
}

function flow(value: Printed, indent: string): string {
  if (value === null) return "null";
  if (typeof value === "string") return scalar(value, indent, false);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value instanceof Map) return "{}";
  if (Array.isArray(value)) return "[]";
  return (value as PrintedNumber).numberText;
}

function scalar(text: string, indent: string, isKey: boolean): string {
  switch (styleOf(text, isKey)) {
    case "plain":
      return text;
    case "single":
      return `'${text.replaceAll("'", "''")}'`;
    case "double":
      return doubleQuoted(text);
    case "literal":
      return literal(text, `${indent}  `);
  }
}

/** A block of lines; what follows the last line break decides the sign after the bar. */
function literal(text: string, indent: string): string {
  const hint = /^[ \n\r\u0085\u2028\u2029]/.test(text) ? "2" : "";
  const ends = /\n*$/.exec(text)?.[0].length ?? 0;
  const keep = ends > 1 || text === "\n";
  const chomp = ends === 0 ? "-" : keep ? "+" : "";
  const lines = (ends === 0 ? text : text.slice(0, -1)).split("\n");
  const body = lines.map((line) => (line === "" ? "" : indent + line)).join("\n");
  return `|${hint}${chomp}\n${body}`;
}
