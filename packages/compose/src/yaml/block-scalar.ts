/**
 * Block scalars: `|` keeps lines, `>` folds them; `-` and `+` say what becomes of the line breaks at the end. A text that
 * ends with the file has no line break there, and gets none (the reference's reader; the grammar would add one).
 */

import { type Cursor, NEWLINE, SPACE, TAB } from "./cursor.ts";

interface Header {
  readonly folded: boolean;
  readonly chomp: "clip" | "strip" | "keep";
  /** Indentation beyond the parent's; 0: from the first line. */
  readonly indent: number;
}

/** A block scalar; the cursor is on its `|` or `>`, and ends on the line break before what follows. */
export function readBlockScalar(cursor: Cursor, parentIndent: number): string {
  const header = readHeader(cursor);
  const { text } = cursor;
  const lines: string[] = [];
  let indent = header.indent === 0 ? -1 : Math.max(parentIndent, 0) + header.indent;
  let longestEmpty = 0;
  let end = cursor.at;
  while (text.charCodeAt(cursor.at) === NEWLINE) {
    const start = cursor.at + 1;
    let first = start;
    while (text.charCodeAt(first) === SPACE && (indent < 0 || first - start < indent)) first++;
    const code = text.charCodeAt(first);
    const lineEnd = endOfLine(text, first);
    if (Number.isNaN(code) && first === start) break;
    if (code === NEWLINE || Number.isNaN(code)) {
      lines.push("");
      longestEmpty = Math.max(longestEmpty, first - start);
    } else {
      if (indent < 0 && first - start > parentIndent) {
        indent = first - start;
        if (longestEmpty > indent || code === TAB)
          cursor.giveUp("an empty line with deeper indentation");
      }
      if (indent < 0 || first - start < indent) {
        if (code === TAB) cursor.giveUp("a tab in the indentation");
        break;
      }
      if (lineEnd === text.length && text.slice(first).trim() === "") {
        cursor.giveUp("blanks at the end of the text");
      }
      if (first === start && cursor.isMarker(first)) cursor.giveUp("a second document");
      lines.push(text.slice(first, lineEnd));
    }
    cursor.at = lineEnd;
    end = lineEnd;
  }
  cursor.at = end;
  const onlyBlanks = lines.every((line) => line.trim() === "");
  if (onlyBlanks && lines.some((line) => line !== "")) cursor.giveUp("a text of blanks only");
  const isUnended = end === text.length && lines.at(-1) !== "";
  return joinLines(lines, isUnended ? { ...header, chomp: "strip" } : header);
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

function readHeader(cursor: Cursor): Header {
  const folded = cursor.text[cursor.at] === ">";
  cursor.at++;
  let chomp: Header["chomp"] | undefined;
  let indent: number | undefined;
  while (true) {
    const char = cursor.text[cursor.at] ?? "";
    if ((char === "-" || char === "+") && chomp === undefined)
      chomp = char === "-" ? "strip" : "keep";
    else if (/^[1-9]$/.test(char) && indent === undefined) indent = Number(char);
    else break;
    cursor.at++;
  }
  cursor.endLine();
  return { folded, chomp: chomp ?? "clip", indent: indent ?? 0 };
}

function joinLines(lines: readonly string[], { folded, chomp }: Header): string {
  let last = lines.length;
  while (last > 0 && lines[last - 1] === "") last--;
  const empty = lines.length - last;
  const content = lines.slice(0, last);
  const body = folded ? fold(content) : content.join("\n");
  if (chomp === "strip") return body;
  if (chomp === "keep") return body + "\n".repeat(last === 0 ? empty : empty + 1);
  return last === 0 ? "" : `${body}\n`;
}

/** Breaks between lines become spaces, but for lines that are indented deeper. */
function fold(lines: readonly string[]): string {
  let value = "";
  let breaks = 0;
  let before: string | undefined;
  for (const line of lines) {
    if (line === "") {
      breaks++;
      continue;
    }
    if (before === undefined) value += "\n".repeat(breaks);
    else if (isSpaced(before) || isSpaced(line)) value += "\n".repeat(breaks + 1);
    else value += breaks === 0 ? " " : "\n".repeat(breaks);
    value += line;
    before = line;
    breaks = 0;
  }
  return value;
}

function isSpaced(line: string): boolean {
  return line.startsWith(" ") || line.startsWith("\t");
}
