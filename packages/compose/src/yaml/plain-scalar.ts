/**
 * What a plain (unquoted) scalar means: text, number, truth value, date or nothing.
 *
 * Follows the reference implementation's YAML reader: the core schema, plus what it keeps of YAML 1.1 (octal
 * `0777`, `1_000`, dates), minus `yes`, `no`, `on`, `off`, which stay text until a field wants a truth value.
 */

import { goFloat } from "../text/go-number.ts";
import { goTime } from "../text/go-time.ts";
import type { ScalarType } from "../tree/tree.ts";

/** The type and the canonical text of a plain scalar. */
export interface Resolved {
  readonly type: ScalarType;
  readonly text: string;
}

const WORDS: ReadonlyMap<string, Resolved> = new Map([
  ...["", "~", "null", "Null", "NULL"].map((word) => entry(word, "null", "")),
  ...["true", "True", "TRUE"].map((word) => entry(word, "bool", "true")),
  ...["false", "False", "FALSE"].map((word) => entry(word, "bool", "false")),
  ...[".nan", ".NaN", ".NAN"].map((word) => entry(word, "float", "NaN")),
  ...[".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"].map((word) =>
    entry(word, "float", "+Inf"),
  ),
  ...["-.inf", "-.Inf", "-.INF"].map((word) => entry(word, "float", "-Inf")),
]);

function entry(word: string, type: ScalarType, text: string): [string, Resolved] {
  return [word, { type, text }];
}

const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const INTEGER = /^[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)$/;
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
/** Longer digits are text or an error, never a number: BigInt of a megabyte of digits is quadratic. */
const NUMBER_CHARS_MAX = 400;

/** Resolves the text of a plain scalar. */
export function resolvePlain(text: string): Resolved {
  const first = text.charCodeAt(0);
  const numeric = (first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46;
  if (!numeric) return WORDS.get(text) ?? { type: "string", text };
  return WORDS.get(text) ?? resolveNumber(text) ?? { type: "string", text };
}

function resolveNumber(text: string): Resolved | undefined {
  if (text.length > NUMBER_CHARS_MAX) return undefined;
  const time = goTime(text);
  if (time !== undefined) return { type: "timestamp", text: time };
  const digits = text.includes("_") ? text.replaceAll("_", "") : text;
  if (INTEGER.test(digits)) {
    const integer = integerText(digits);
    if (integer !== undefined) return { type: "int", text: integer };
  }
  if (!FLOAT.test(digits)) return undefined;
  const value = Number(digits);
  // What no float holds is text, as in the reference.
  return Number.isFinite(value) ? { type: "float", text: goFloat(value) } : undefined;
}

/** Decimal text of an integer that fits 64 bits. */
function integerText(text: string): string | undefined {
  const negative = text.startsWith("-");
  const digits = text.replace(/^[-+]/, "");
  if (digits.length < 16 && !digits.startsWith("0")) return negative ? `-${digits}` : digits;
  const octal = /^0[0-7]+$/.test(digits);
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits.toLowerCase());
  if (value > (negative ? INT64_MAX + 1n : UINT64_MAX)) return undefined;
  return String(negative ? -value : value);
}
