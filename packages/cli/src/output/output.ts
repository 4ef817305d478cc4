/**
 * Where a command writes: results to stdout, everything else to stderr, and whether people or programs
 * read it. Colour only helps, it never carries meaning alone.
 */

import { processSink, type Sink } from "./sink.ts";

export interface Output {
  /** A line of the result. */
  line(text?: string): void;
  /** Bytes of the result, as they are. */
  bytes(chunk: Uint8Array): void;
  /** A line about the work: warnings, progress in a pipe, errors. */
  note(text: string): void;
  /** Lines that replace the ones of the last call, on a terminal; does nothing in a pipe. */
  live(lines: readonly string[]): void;
  /** stdout is a terminal: progress may move. */
  readonly interactive: boolean;
  /** Width to keep within; Infinity in a pipe. */
  readonly columns: number;
  /** One JSON value per result instead of words for people. */
  readonly json: boolean;
  readonly paint: Paint;
}

export type Colour = "red" | "green" | "yellow" | "blue" | "grey" | "bold";
export type Paint = (colour: Colour, text: string) => string;

const CODES: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  grey: [90, 39],
  bold: [1, 22],
};

/** NO_COLOR (no-color.org) and TERM=dumb are honoured; colours go to terminals only. */
export function paintFor(
  interactive: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  const wanted =
    interactive && environment["TERM"] !== "dumb" && (environment["NO_COLOR"] ?? "") === "";
  if (!wanted) return (_colour, text) => text;
  return (colour, text) => {
    const [on, off] = CODES[colour];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  };
}

/** The process's own output. */
export function processOutput(options: {
  readonly json: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}): Output {
  const results = processSink(1);
  const { terminal } = results;
  // Most commands have no notes.
  let notes: Sink | undefined;
  const interactive = terminal !== undefined;
  let shown = 0;
  // What is live stands below everything else: it is taken away before a lasting line is written.
  const clear = () => {
    if (shown > 0) results.write(`\u001b[${shown}A\u001b[0J`);
    shown = 0;
  };
  return {
    line(text = "") {
      clear();
      results.write(`${text}\n`);
    },
    bytes(chunk) {
      results.write(chunk);
    },
    note(text) {
      clear();
      notes ??= processSink(2);
      notes.write(`${text}\n`);
    },
    live(lines) {
      if (terminal === undefined || options.json) return;
      clear();
      const width = terminal.columns ?? 80;
      for (const line of lines) results.write(`${cutTo(line, width)}\n`);
      shown = lines.length;
    },
    interactive,
    columns: terminal === undefined ? Number.POSITIVE_INFINITY : (terminal.columns ?? 80),
    json: options.json,
    paint: paintFor(interactive, options.environment),
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal escapes begin with one
const ESCAPES = /\u001b\[[0-9;]*m/g;

/** Characters that a terminal shows twice as wide: CJK and full-width forms (Unicode TR11, roughly). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;

/** Columns that `text` takes on a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text.replace(ESCAPES, "")) width += WIDE.test(character) ? 2 : 1;
  return width;
}

function cutTo(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  const plain = [...text.replace(ESCAPES, "")];
  let width = 0;
  let kept = "";
  for (const character of plain) {
    width += widthOf(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Rows as aligned columns, two spaces apart; the header in capitals. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, column) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[column] ?? ""))),
  );
  const pad = (row: readonly string[]) =>
    row
      .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
      .join("  ")
      .trimEnd();
  return [header, ...rows].map(pad);
}
