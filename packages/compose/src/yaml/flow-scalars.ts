/**
 * Scalars of one or more lines: plain, in single quotes, in double quotes. Lines are folded: one break is a space,
 * more breaks are one less.
 */

import { type Cursor, HASH, NEWLINE, SPACE, TAB } from "./cursor.ts";

const COLON = 58;
const DOUBLE = 34;
const SINGLE = 39;
const BACKSLASH = 92;

/** `, [ ] { }` */
export function isFlowIndicator(code: number): boolean {
  return code === 44 || code === 91 || code === 93 || code === 123 || code === 125;
}

/** Whether a plain scalar may begin here. */
export function startsPlain(cursor: Cursor, inFlow: boolean): boolean {
  const code = cursor.peek();
  // A dash before the end of an item is a text, as in the reference and against the grammar.
  if (code === 45) return !cursor.isBlank(1);
  // ? :
  if (code === 63 || code === COLON) {
    return !cursor.isBlank(1) && !(inFlow && isFlowIndicator(cursor.peek(1)));
  }
  // # & * ! | > ' " % @ `
  const indicator =
    isFlowIndicator(code) ||
    code === HASH ||
    code === 38 ||
    code === 42 ||
    code === 33 ||
    code === 124 ||
    code === 62 ||
    code === SINGLE ||
    code === DOUBLE ||
    code === 37 ||
    code === 64 ||
    code === 96;
  return !indicator && !Number.isNaN(code);
}

/** The end of a plain scalar's part on this line, blanks at its end left out. The cursor stays. */
export function plainEnd(cursor: Cursor, inFlow: boolean): number {
  const { text } = cursor;
  let end = cursor.at;
  for (let at = cursor.at; ; at++) {
    const code = text.charCodeAt(at);
    if (code === NEWLINE || Number.isNaN(code)) return end;
    if (code === SPACE || code === TAB) continue;
    if (code === HASH && at > cursor.at && end < at) return end;
    if (code === COLON) {
      const next = text.charCodeAt(at + 1);
      const blank = next === SPACE || next === NEWLINE || next === TAB || Number.isNaN(next);
      if (blank || (inFlow && isFlowIndicator(next))) return end;
    }
    if (inFlow && isFlowIndicator(code)) return end;
    end = at + 1;
  }
}

/** A plain scalar in block style, with lines that go on deeper than `parentIndent`. */
export function readPlain(cursor: Cursor, parentIndent: number): string {
  const first = plainEnd(cursor, false);
  let value = cursor.text.slice(cursor.at, first);
  cursor.at = first;
  while (cursor.restIsEmpty()) {
    const lineEnd = cursor.lineEnd();
    // A comment ends the scalar; so does a line that is not deeper.
    if (cursor.text.slice(cursor.at, lineEnd).trim() !== "") return value;
    const next = continuation(cursor, lineEnd, parentIndent);
    if (next === undefined) return value;
    cursor.at = next.at;
    const end = plainEnd(cursor, false);
    if (cursor.text.charCodeAt(end) === COLON || end === cursor.at)
      cursor.giveUp("a key inside a text");
    value +=
      (next.breaks === 1 ? " " : "\n".repeat(next.breaks - 1)) + cursor.text.slice(cursor.at, end);
    cursor.at = end;
  }
  return value;
}

/** The next line that goes on with a plain scalar. */
function continuation(
  cursor: Cursor,
  from: number,
  parentIndent: number,
): { readonly at: number; readonly breaks: number } | undefined {
  const { text } = cursor;
  let breaks = 0;
  let at = from;
  while (text.charCodeAt(at) === NEWLINE) {
    breaks++;
    const start = ++at;
    while (text.charCodeAt(at) === SPACE) at++;
    const indent = at - start;
    while (text.charCodeAt(at) === TAB || text.charCodeAt(at) === SPACE) at++;
    const code = text.charCodeAt(at);
    if (code === NEWLINE) continue;
    if (indent === 0 && cursor.isMarker(at)) cursor.giveUp("a second document");
    if (Number.isNaN(code) || code === HASH || indent <= parentIndent) return undefined;
    return { at, breaks };
  }
  return undefined;
}

/** The reason with which texts in quotes are given up that only the loose way of reading takes. */
export const LOOSE_TEXT = "a text in quotes that is not indented";

/** A scalar in quotes; the cursor is on the opening quote. */
export function readQuoted(cursor: Cursor, parentIndent: number): string {
  return cursor.peek() === SINGLE
    ? readSingle(cursor, parentIndent)
    : readDouble(cursor, parentIndent);
}

function readSingle(cursor: Cursor, parentIndent: number): string {
  const { text } = cursor;
  let value = "";
  let start = ++cursor.at;
  while (true) {
    const code = text.charCodeAt(cursor.at);
    if (Number.isNaN(code)) cursor.giveUp("a quote that is not closed");
    if (code === NEWLINE) {
      value += foldedBreak(cursor, text.slice(start, cursor.at), parentIndent);
      start = cursor.at;
    } else if (code !== SINGLE) cursor.at++;
    else if (text.charCodeAt(cursor.at + 1) === SINGLE) {
      value += text.slice(start, cursor.at + 1);
      cursor.at += 2;
      start = cursor.at;
    } else {
      value += text.slice(start, cursor.at);
      cursor.at++;
      return value;
    }
  }
}

function readDouble(cursor: Cursor, parentIndent: number): string {
  const { text } = cursor;
  let value = "";
  let start = ++cursor.at;
  while (true) {
    const code = text.charCodeAt(cursor.at);
    if (Number.isNaN(code)) cursor.giveUp("a quote that is not closed");
    if (code === NEWLINE) {
      value += foldedBreak(cursor, text.slice(start, cursor.at), parentIndent);
      start = cursor.at;
    } else if (code === DOUBLE) {
      value += text.slice(start, cursor.at);
      cursor.at++;
      return value;
    } else if (code === BACKSLASH && text.charCodeAt(cursor.at + 1) === NEWLINE) {
      if (!cursor.looseQuotes) cursor.giveUp(LOOSE_TEXT);
      value += text.slice(start, cursor.at);
      cursor.at++;
      // The break is none: what would be a space is nothing, empty lines after it stay.
      value += foldedBreak(cursor, "", parentIndent).replace(/^ $/, "");
      start = cursor.at;
    } else if (code === BACKSLASH) {
      value += text.slice(start, cursor.at) + readEscape(cursor);
      start = cursor.at;
    } else cursor.at++;
  }
}

/** A part of a quoted scalar and the fold after it; the cursor goes to the next line's first character. */
function foldedBreak(cursor: Cursor, part: string, parentIndent: number): string {
  const { text } = cursor;
  let breaks = 0;
  while (text.charCodeAt(cursor.at) === NEWLINE) {
    breaks++;
    const start = ++cursor.at;
    while (text.charCodeAt(cursor.at) === SPACE) cursor.at++;
    const indent = cursor.at - start;
    cursor.skipSpaces();
    const code = cursor.peek();
    if (code === NEWLINE) continue;
    if (indent === 0 && cursor.isMarker()) cursor.giveUp("a second document");
    if (!cursor.looseQuotes && (indent <= parentIndent || indent === 0)) cursor.giveUp(LOOSE_TEXT);
  }
  const trimmed = part.replace(/[ \t]+$/, "");
  return trimmed + (breaks === 1 ? " " : "\n".repeat(breaks - 1));
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["0", "\0"],
  ["a", "\x07"],
  ["b", "\b"],
  ["t", "\t"],
  ["n", "\n"],
  ["v", "\v"],
  ["f", "\f"],
  ["r", "\r"],
  ["e", "\x1b"],
  [" ", " "],
  ['"', '"'],
  ["/", "/"],
  ["\\", "\\"],
  ["N", "\u0085"],
  ["_", "\u00a0"],
  ["L", "\u2028"],
  ["P", "\u2029"],
]);
const HEX_DIGITS: ReadonlyMap<string, number> = new Map([
  ["x", 2],
  ["u", 4],
  ["U", 8],
]);

/** The character that an escape stands for; the cursor is on the backslash. */
function readEscape(cursor: Cursor): string {
  const letter = cursor.text[cursor.at + 1] ?? "";
  const known = ESCAPES.get(letter);
  if (known !== undefined) {
    cursor.at += 2;
    return known;
  }
  const digits = HEX_DIGITS.get(letter);
  if (digits === undefined) return cursor.giveUp("an unknown escape");
  const hex = cursor.text.slice(cursor.at + 2, cursor.at + 2 + digits);
  const code = Number.parseInt(hex, 16);
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < digits || code > 0x10ffff || surrogate) {
    cursor.giveUp("an unknown escape");
  }
  cursor.at += 2 + digits;
  return String.fromCodePoint(code);
}
