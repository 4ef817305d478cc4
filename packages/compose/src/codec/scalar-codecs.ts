/**
 * Codecs of single values: text, numbers, truth values, sizes, durations, and words of a list.
 *
 * Strictness is the reference's: where it wants text, a number is refused and told to be quoted; where it casts,
 * a number in quotes is a number.
 */

import { nearestWord } from "@berth/base";
import { parseByteSize } from "../text/byte-size.ts";
import { formatGoDuration, parseGoDuration } from "../text/duration.ts";
import { float32Text } from "../text/go-number.ts";
import { kindName, type Tree } from "../tree/tree.ts";
import { type Codec, type Reading, refuse } from "./codec.ts";

/** Text and nothing else. */
export const text: Codec<string> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && tree.type === "string") return tree.text;
    const quoted = tree.kind === "scalar" && tree.type !== "null";
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: quoted ? `text: "${tree.text}" in quotes` : "text",
    });
  },
  print: (value) => (value === "" ? undefined : value),
  schema: { type: "string" },
};

/** Text, also written as a whole number. Fractions and exponents would print as something else than was written. */
export const textOrInteger: Codec<string> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && (tree.type === "string" || tree.type === "int")) return tree.text;
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "text or a whole number",
      suggestion:
        tree.kind === "scalar" && tree.type === "float" ? JSON.stringify(tree.text) : undefined,
    });
  },
  print: (value) => value,
  schema: { type: ["string", "integer"] },
};

const TRUE_WORDS: ReadonlySet<string> = new Set(["true", "y", "yes", "on"]);
const FALSE_WORDS: ReadonlySet<string> = new Set(["false", "n", "no", "off"]);

/** A truth value; `yes`, `no`, `on`, `off` count. */
export const bool: Codec<boolean> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && (tree.type === "bool" || tree.type === "string")) {
      const word = tree.text.toLowerCase();
      if (TRUE_WORDS.has(word)) return true;
      if (FALSE_WORDS.has(word)) return false;
      if (reading.lenient && word.includes("$")) return false;
    }
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "true or false",
    });
  },
  print: (value) => (value ? true : undefined),
  schema: { type: ["boolean", "string"] },
};

/** Bounds of a number. */
export interface NumberBounds {
  readonly min?: number;
  readonly max?: number;
  /** A fraction is cut off a number that is not in quotes, as the reference does where its schema says "number". */
  readonly truncate?: boolean;
  /** A number in quotes is refused. */
  readonly unquoted?: boolean;
}

/** A whole number, in quotes or not. */
export function integer(bounds: NumberBounds = {}): Codec<number> {
  const quotes = bounds.unquoted === true ? " without quotes" : "";
  const expected = `a whole number${boundsText(bounds)}${quotes}`;
  return {
    read(tree, path, reading) {
      const value = wholeNumber(tree, bounds);
      if (value !== undefined && within(value, bounds)) return value;
      if (isUnexpanded(tree, reading)) return 0;
      return refuse(reading, tree, path, { found: `is ${kindName(tree)}`, expected });
    },
    print: (value) => (value === 0 ? undefined : value),
    schema: {
      type: [
        bounds.truncate === true ? "number" : "integer",
        ...(bounds.unquoted === true ? [] : ["string"]),
      ],
    },
  };
}

/** A number with a fraction, printed as the shortest text of its 32-bit form. */
export function float32(bounds: NumberBounds = {}): Codec<number> {
  const expected = `a number${boundsText(bounds)}`;
  return {
    read(tree, path, reading) {
      const value = anyNumber(tree);
      if (value !== undefined && within(value, bounds)) return value;
      if (isUnexpanded(tree, reading)) return 0;
      return refuse(reading, tree, path, { found: `is ${kindName(tree)}`, expected });
    },
    print: (value) => (value === 0 ? undefined : { numberText: float32Text(value) }),
    schema: { type: ["number", "string"] },
  };
}

/** Processors: `0.5` in the file, 500 thousandths in the model. */
export const cpuMillis: Codec<number> = {
  read(tree, path, reading) {
    const value = anyNumber(tree);
    if (value !== undefined && value >= 0 && value <= 1e6) return value * 1000;
    if (isUnexpanded(tree, reading)) return 0;
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: 'a number of processors such as "0.5"',
      suggestion: cpusMeant(tree),
    });
  },
  print: (value) => (value === 0 ? undefined : { numberText: float32Text(value / 1000) }),
  schema: { type: ["number", "string"] },
};

/** `500m` of Kubernetes is half a processor. */
function cpusMeant(tree: Tree): string | undefined {
  const match = tree.kind === "scalar" ? /^(\d{1,9})m$/.exec(tree.text) : null;
  return match === null ? undefined : `"${Number(match[1]) / 1000}"`;
}

/** Which forms of a size a key takes. */
export interface BytesForm {
  /** The reference refuses a number without quotes here. */
  readonly textOnly?: boolean;
  /** Fractions of a byte are refused and not cut off. */
  readonly whole?: boolean;
}

/** Bytes: `512m`, `1g`, `1048576`. */
export function bytes(form: BytesForm = {}): Codec<number> {
  return {
    read(tree, path, reading) {
      const value = sizeOf(tree, form);
      if (value !== undefined) return value;
      if (isUnexpanded(tree, reading)) return 0;
      return refuse(reading, tree, path, {
        found: `is ${kindName(tree)}`,
        expected:
          form.textOnly === true ? 'a size in quotes such as "512m"' : "a size such as 512m",
        suggestion: sizeMeant(tree),
      });
    },
    print: (value) => (value === 0 ? undefined : String(value)),
    schema: { type: form.textOnly === true ? "string" : ["integer", "string"] },
  };
}

/** `512 MBs`, `2Gi`: the unit is one letter, with or without B. */
function sizeMeant(tree: Tree): string | undefined {
  const match =
    tree.kind === "scalar" ? /^(\d+(?:\.\d+)?)\s*([kmgt])/i.exec(tree.text.trim()) : null;
  return match === null ? undefined : `${match[1]}${match[2]?.toLowerCase()}`;
}

function sizeOf(tree: Tree, form: BytesForm): number | undefined {
  if (tree.kind !== "scalar") return undefined;
  if (tree.type === "string") {
    // The canonical form prints "no limit" as this text; the reference refuses to read it back (a row of the table).
    return tree.text === "-1" && form.textOnly !== true ? -1 : parseByteSize(tree.text);
  }
  if (form.textOnly === true || (tree.type !== "int" && tree.type !== "float")) return undefined;
  const value = Number(tree.text);
  // The reference reads nothing from a fraction where it does not refuse it.
  if (!Number.isInteger(value)) return form.whole === true ? undefined : 0;
  // Below zero is "no limit".
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A duration such as `1m30s`, in milliseconds. */
export const durationMs: Codec<number> = {
  read(tree, path, reading) {
    const value =
      tree.kind === "scalar" && tree.type === "string" ? parseGoDuration(tree.text) : undefined;
    if (value !== undefined) return value;
    if (isUnexpanded(tree, reading)) return 0;
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "a duration such as 1m30s (h, m, s, ms)",
      suggestion: tree.kind === "scalar" ? durationMeant(tree.text) : undefined,
    });
  },
  print: (value) => formatGoDuration(value),
  schema: { type: "string", format: "duration" },
};

const HOURS_OF_A_DAY = 24;

/** A bare number is seconds, `1 minute` is `1m`, `2d` is `48h`. */
function durationMeant(written: string): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(written.trim());
  const amount = match?.[1];
  const unit = match?.[2]?.toLowerCase();
  if (amount === undefined || unit === undefined) return undefined;
  if (unit === "" || unit.startsWith("sec")) return `${amount}s`;
  if (unit.startsWith("min")) return `${amount}m`;
  if (unit.startsWith("h")) return `${amount}h`;
  return unit === "d" || unit.startsWith("day") ? `${Number(amount) * HOURS_OF_A_DAY}h` : undefined;
}

/** One of a few words. */
export function oneOf<const Word extends string>(words: readonly Word[]): Codec<Word> {
  return {
    read(tree, path, reading) {
      if (tree.kind === "scalar" && tree.type === "string") {
        const found = words.find((word) => word === tree.text);
        if (found !== undefined) return found;
        if (isUnexpanded(tree, reading)) return words[0];
      }
      return refuse(reading, tree, path, {
        found: `is ${kindName(tree)}`,
        expected: words.map((word) => JSON.stringify(word)).join(", "),
        suggestion: tree.kind === "scalar" ? nearestWord(tree.text, words) : undefined,
      });
    },
    print: (value) => value,
    schema: { enum: words },
  };
}

/** Whether a value still has its variables, in a load without interpolation. */
export function isUnexpanded(tree: Tree, reading: Reading): boolean {
  return reading.lenient && tree.kind === "scalar" && tree.text.includes("$");
}

function wholeNumber(tree: Tree, { truncate, unquoted }: NumberBounds): number | undefined {
  if (tree.kind !== "scalar") return undefined;
  if (unquoted === true && tree.type === "string") return undefined;
  if (truncate === true && tree.type === "float") {
    const cut = Math.trunc(Number(tree.text));
    return Number.isSafeInteger(cut) ? cut : undefined;
  }
  const whole = tree.type === "string" ? /^[-+]?\d{1,16}$/.test(tree.text) : tree.type === "int";
  const float = tree.type === "float" && Number.isInteger(Number(tree.text));
  const value = whole || float ? Number(tree.text) : undefined;
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
}

function anyNumber(tree: Tree): number | undefined {
  if (tree.kind !== "scalar") return undefined;
  if (tree.type === "string" && !/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(tree.text))
    return undefined;
  if (!["string", "int", "float"].includes(tree.type)) return undefined;
  const value = Number(tree.text);
  return Number.isFinite(value) ? value : undefined;
}

function within(value: number, { min, max }: NumberBounds): boolean {
  return (min === undefined || value >= min) && (max === undefined || value <= max);
}

function boundsText({ min, max }: NumberBounds): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? "" : ` of at most ${max}`;
}
