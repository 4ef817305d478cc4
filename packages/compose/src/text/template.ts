/**
 * Interpolation of one text: `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:?e}`, `${V?e}`, `${V:+a}`, `${V+a}`, nested in
 * their words, and `$$` for a dollar. A dollar before anything else is a dollar.
 *
 * Braces are matched in pairs, so a default may be JSON. One pass, linear in the text and the result; the
 * nesting of words is bounded by INTERPOLATION_DEPTH_MAX.
 */

import { INTERPOLATED_CHARS_MAX, INTERPOLATION_DEPTH_MAX } from "../limits.ts";

/** What went wrong, with the offset in the text that it is about. */
export interface TemplateIssue {
  readonly kind: "unset" | "required" | "syntax" | "limit";
  readonly at: number;
  readonly variable: string;
  /** For `required` the author's words, for `syntax` what is wrong. */
  readonly detail: string;
}

/** The text with variables put in, and what was noticed. `text` is best effort when an issue is an error. */
export interface TemplateResult {
  readonly text: string;
  readonly issues: readonly TemplateIssue[];
}

/** A variable's value, `undefined` when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** Puts the values of variables into `text`. */
export function interpolate(text: string, lookup: Lookup): TemplateResult {
  if (!text.includes("$")) return { text, issues: [] };
  const issues: TemplateIssue[] = [];
  const result = expand({ text, lookup, issues, base: 0, depth: 0, live: true });
  return { text: result, issues };
}

interface Expansion {
  readonly text: string;
  readonly lookup: Lookup;
  readonly issues: TemplateIssue[];
  /** Offset of `text` in the whole. */
  readonly base: number;
  readonly depth: number;
  /** False in the word of an operator that does not apply: unset variables there are nobody's concern. */
  readonly live: boolean;
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;

function expand(expansion: Expansion): string {
  const { text } = expansion;
  let result = "";
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf("$", at);
    if (dollar < 0) return result + text.slice(at);
    result += text.slice(at, dollar);
    const step = expandDollar(expansion, dollar);
    result += step.text;
    at = step.end;
    if (result.length > INTERPOLATED_CHARS_MAX) {
      issue(expansion, "limit", dollar, "", `grows over ${INTERPOLATED_CHARS_MAX} characters`);
      return "";
    }
  }
  return result;
}

interface Step {
  readonly text: string;
  readonly end: number;
}

function expandDollar(expansion: Expansion, dollar: number): Step {
  const { text } = expansion;
  const next = text[dollar + 1];
  if (next === "$") return { text: "$", end: dollar + 2 };
  if (next === "{") return expandBraces(expansion, dollar);
  const name = nameAt(text, dollar + 1);
  if (name === "") return { text: "$", end: dollar + 1 };
  return { text: valueOrBlank(expansion, name, dollar), end: dollar + 1 + name.length };
}

function expandBraces(expansion: Expansion, dollar: number): Step {
  const { text } = expansion;
  const close = closingBrace(text, dollar + 1);
  if (close < 0) {
    issue(expansion, "syntax", dollar, "", "the ${ is not closed");
    return { text: "", end: text.length };
  }
  const name = nameAt(text, dollar + 2);
  const after = dollar + 2 + name.length;
  const end = close + 1;
  if (name === "") {
    issue(expansion, "syntax", dollar, "", "a variable's name must follow ${");
    return { text: "", end };
  }
  if (after === close) return { text: valueOrBlank(expansion, name, dollar), end };
  const colon = text[after] === ":";
  const operator = text[after + (colon ? 1 : 0)] ?? "";
  if (!"-+?".includes(operator) || after + (colon ? 1 : 0) >= close) {
    issue(
      expansion,
      "syntax",
      dollar,
      name,
      `${JSON.stringify(text.slice(after, close))} after the name`,
    );
    return { text: "", end };
  }
  const wordStart = after + (colon ? 2 : 1);
  const word = { name, operator, colon, start: wordStart, text: text.slice(wordStart, close) };
  return { text: applyOperator(expansion, word, dollar), end };
}

interface Word {
  readonly name: string;
  readonly operator: string;
  /** With a colon an empty value counts as unset. */
  readonly colon: boolean;
  readonly start: number;
  readonly text: string;
}

function applyOperator(expansion: Expansion, word: Word, dollar: number): string {
  const value = expansion.lookup(word.name);
  const present = value !== undefined && (!word.colon || value !== "");
  if (word.operator === "+") {
    const alternative = expandWord(expansion, word, present);
    return present ? alternative : (value ?? "");
  }
  const fallback = expandWord(expansion, word, !present);
  if (present) return value;
  if (word.operator === "-") return fallback;
  issue(expansion, "required", dollar, word.name, fallback);
  return "";
}

/** The word is expanded even when unused, as the reference does: a required variable in it is required. */
function expandWord(expansion: Expansion, word: Word, used: boolean): string {
  if (!word.text.includes("$")) return word.text;
  if (expansion.depth >= INTERPOLATION_DEPTH_MAX) {
    issue(
      expansion,
      "limit",
      word.start,
      word.name,
      `is nested over ${INTERPOLATION_DEPTH_MAX} deep`,
    );
    return "";
  }
  return expand({
    ...expansion,
    text: word.text,
    base: expansion.base + word.start,
    depth: expansion.depth + 1,
    live: expansion.live && used,
  });
}

function valueOrBlank(expansion: Expansion, name: string, dollar: number): string {
  const value = expansion.lookup(name);
  if (value === undefined && expansion.live) issue(expansion, "unset", dollar, name, "");
  return value ?? "";
}

function issue(
  expansion: Expansion,
  kind: TemplateIssue["kind"],
  at: number,
  variable: string,
  detail: string,
): void {
  expansion.issues.push({ kind, at: expansion.base + at, variable, detail });
}

function nameAt(text: string, at: number): string {
  NAME.lastIndex = at;
  return NAME.exec(text)?.[0] ?? "";
}

/** The brace that closes the one at `open`; -1 when there is none. */
function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 123) depth++;
    else if (char === 125 && --depth === 0) return at;
  }
  // Unequal braces inside a word: the last one of the text closes, so that ${V:-{} still reads.
  const last = text.lastIndexOf("}");
  return last > open ? last : -1;
}

/** A variable as a text uses it. */
export interface VariableUse {
  readonly name: string;
  /** `${V:?}`, `${V?}`. */
  readonly required: boolean;
  /** Of `${V:-word}` and `${V-word}`, as it is written. */
  readonly fallback: string;
  /** Of `${V:+word}` and `${V+word}`. */
  readonly alternate: string;
}

/** Every use of a variable in `text`, those in words of others after them. What is no use is passed over. */
export function variableUses(text: string, depth = 0): readonly VariableUse[] {
  const uses: VariableUse[] = [];
  if (depth > INTERPOLATION_DEPTH_MAX) return uses;
  for (let at = text.indexOf("$"); at >= 0; at = text.indexOf("$", at)) {
    const braces = text[at + 1] === "{";
    const name = nameAt(text, at + (braces ? 2 : 1));
    const close = braces ? closingBrace(text, at + 1) : -1;
    if (name === "" || (braces && close < 0)) {
      at += text[at + 1] === "$" ? 2 : 1;
      continue;
    }
    const rest = braces ? text.slice(at + 2 + name.length, close) : "";
    const word = rest.replace(/^:?[-+?]/, "");
    const operator = /^:?([-+?])/.exec(rest)?.[1];
    uses.push({
      name,
      required: operator === "?",
      fallback: operator === "-" ? word : "",
      alternate: operator === "+" ? word : "",
    });
    uses.push(...variableUses(word, depth + 1));
    at = braces ? close + 1 : at + 1 + name.length;
  }
  return uses;
}
