/**
 * Printed values as YAML text in the style of Go's encoder: two spaces, lists indented under their key.
 */

import type { Printed, PrintedNumber } from "../codec/codec.ts";
import { resolvePlain } from "../yaml/plain-scalar.ts";

/** Ends in a newline. */
export function printYaml(value: Printed): string {
  return `${block(value, "").replace(/^\n/, "")}\n`;
}

/** The text after `key:` or `-`, with its leading space or newline. */
function block(value: Printed, indent: string): string {
  if (value instanceof Map && value.size > 0) {
    return [...value]
      .map(([key, each]) => `\n${indent}${keyText(key)}:${nested(each, indent)}`)
      .join("");
  }
  if (Array.isArray(value) && value.length > 0) {
    return value.map((each) => `\n${indent}-${item(each, indent)}`).join("");
  }
  return ` ${flow(value, indent)}`;
}

function nested(value: Printed, indent: string): string {
  const empty = value === null || typeof value !== "object" || "numberText" in value;
  return empty ? ` ${flow(value, indent)}` : block(value, `${indent}  `);
}

/** The first line of a mapping in a list stands beside the dash. */
function item(value: Printed, indent: string): string {
  const text = nested(value, indent);
  return text.startsWith("\n") ? ` ${text.slice(1).trimStart()}` : text;
}

function flow(value: Printed, indent: string): string {
  if (value === null) return "null";
  if (typeof value === "string") return scalar(value, indent);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value instanceof Map) return "{}";
  if (Array.isArray(value)) return "[]";
  return (value as PrintedNumber).numberText;
}

function keyText(key: string): string {
  return scalar(key.includes("\n") ? key.replaceAll("\n", "\\n") : key, "");
}

const SPECIAL_START = /^[\s\-?:,[\]{}#&*!|>'"%@`]/;
const PLAIN_DASH = /^[-?:][^\s]/;
const AMBIGUOUS = /: |:$| #|\s$|[\t]/;

function scalar(text: string, indent: string): string {
  if (!isPrintable(text)) return JSON.stringify(text);
  if (text.includes("\n")) return literal(text, indent);
  if (text === "") return '""';
  const ambiguous = resolvePlain(text).type !== "string" || isOldBoolean(text) || isOldBase60(text);
  if (ambiguous || text === "<<" || text === "=") return JSON.stringify(text);
  const start = SPECIAL_START.test(text) && !PLAIN_DASH.test(text);
  if (start || AMBIGUOUS.test(text)) return `'${text.replaceAll("'", "''")}'`;
  return text;
}

function isOldBoolean(text: string): boolean {
  return /^(y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/.test(text);
}

function isOldBase60(text: string): boolean {
  return /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/.test(text);
}

function literal(text: string, indent: string): string {
  const body = text.replace(/\n+$/, "");
  const ends = text.length - body.length;
  const chomp = ends === 0 ? "-" : ends === 1 && body !== "" ? "" : "+";
  const inner = `${indent}  `;
  const hint = /^[ \n]/.test(text) ? "2" : "";
  const lines = (chomp === "+" ? text.slice(0, -1) : body).split("\n");
  return `|${hint}${chomp}\n${lines.map((line) => (line === "" ? "" : inner + line)).join("\n")}`;
}

/** What a YAML file may show as it is: no control characters, no lone surrogates, no byte-order mark. */
function isPrintable(text: string): boolean {
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const control = code < 0x20 && code !== 0x09 && code !== 0x0a;
    const deleted = code >= 0x7f && code <= 0x9f && code !== 0x85;
    const surrogate = code >= 0xd800 && code <= 0xdfff;
    if (control || deleted || surrogate || code === 0xfeff) return false;
  }
  return true;
}
