/**
 * How a text is written in YAML: plain, in single quotes, in double quotes, or as a literal block; chosen as the
 * reference's encoder chooses.
 */

import { resolvePlain } from "../yaml/plain-scalar.ts";

export type ScalarStyle = "plain" | "single" | "double" | "literal";

/** What a scan of the text finds. */
interface Traits {
  /** A character that only double quotes can show. */
  special: boolean;
  tab: boolean;
  lineBreak: boolean;
  /** A space before a line break. */
  spaceBreak: boolean;
  /** A space after a line break. */
  breakSpace: boolean;
  /** Characters that mean something in a plain text. */
  indicator: boolean;
}

/** The style of `text`. Keys stand on one line. */
export function styleOf(text: string, isKey: boolean): ScalarStyle {
  const traits = traitsOf(text);
  if (text.includes("\n")) {
    const block = !isKey && !traits.special && !traits.spaceBreak && !text.endsWith(" ");
    return block ? "literal" : "double";
  }
  if (!isTextWhenPlain(text) || (isKey && text === "<<")) return "double";
  const single = !traits.breakSpace && !traits.spaceBreak && !traits.tab && !traits.special;
  if (!single) return "double";
  const edges = /^[ \n]|[ \n]$/.test(text);
  return edges || traits.lineBreak || traits.indicator ? "single" : "plain";
}

/** Whether the plain text would be read as text again, by old readers, too. */
function isTextWhenPlain(text: string): boolean {
  const { type } = resolvePlain(text);
  if (type !== "string") return false;
  if (/^(y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/.test(text)) return false;
  return !/^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/.test(text);
}

const FIRST_INDICATORS: ReadonlySet<string> = new Set("#,[]{}&*!|>'\"%@`");
const BREAKS: ReadonlySet<string> = new Set(["\n", "\r", "\u0085", "\u2028", "\u2029"]);

function traitsOf(text: string): Traits {
  const traits: Traits = {
    special: false,
    tab: false,
    lineBreak: false,
    spaceBreak: false,
    breakSpace: false,
    indicator: /^(---|\.\.\.)/.test(text),
  };
  let before = "";
  let at = 0;
  for (const char of text) {
    const after = text[at + char.length];
    const blankAfter = after === undefined || after === " " || after === "\t";
    if (isIndicator(char, { before, blankAfter, first: at === 0 })) traits.indicator = true;
    if (char === "\t") traits.tab = true;
    else if (!isPrintable(char)) traits.special = true;
    if (char === " " && BREAKS.has(before)) traits.breakSpace = true;
    if (BREAKS.has(char)) {
      traits.lineBreak = true;
      if (before === " ") traits.spaceBreak = true;
    }
    before = char;
    at += char.length;
  }
  return traits;
}

function isIndicator(
  char: string,
  place: { readonly before: string; readonly blankAfter: boolean; readonly first: boolean },
): boolean {
  if (place.first) {
    if (char === "?" || char === ":" || char === "-") return place.blankAfter;
    return FIRST_INDICATORS.has(char);
  }
  if (char === ":") return place.blankAfter;
  return char === "#" && /[ \t\r\n\u0085\u2028\u2029]/.test(place.before);
}

/** What the reference's encoder shows as it is: nothing above U+FFFF, no controls, no byte-order mark. */
export function isPrintable(char: string): boolean {
  const code = char.codePointAt(0) ?? 0;
  if (code === 0x0a || (code >= 0x20 && code <= 0x7e)) return true;
  if (code < 0xa0 || code > 0xffff) return false;
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  return !surrogate && code !== 0xfeff && code !== 0xfffe && code !== 0xffff;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\0": "\\0",
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\x1b": "\\e",
  '"': '\\"',
  "\\": "\\\\",
  "\u0085": "\\N",
  "\u2028": "\\L",
  "\u2029": "\\P",
};

/** `text` in double quotes. */
export function doubleQuoted(text: string): string {
  let result = '"';
  for (const char of text.toWellFormed()) {
    const known = ESCAPES[char];
    result += known ?? (isPrintable(char) ? char : hexEscape(char.codePointAt(0) ?? 0));
  }
  return `${result}"`;
}

function hexEscape(code: number): string {
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
