/**
 * What can still be read of a text with mistakes of syntax, so that one of them hides nothing else.
 *
 * The line of a mistake and the deeper lines below it are taken out; what is at its own indent or further left belongs to lines
 * above it and means what it meant. Its key stays, without a value, so that nobody misses it. A text keeps its length
 * and its lines, and so every place in it. Cost: one more reading for each mistake, bounded by RECOVERY_CHARS_MAX and MISTAKES_MAX.
 *
 * A mistake that is found above the one before it was the cause of that: a quote that is not closed ends at the next one.
 */

import type { ProblemExtras, Problems } from "../problem.ts";
import type { Source, Tree } from "../tree/tree.ts";

/** A mistake of syntax. */
export interface Mistake extends ProblemExtras {
  readonly offset: number;
  readonly message: string;
}

/** A text, read: its documents, or the first mistake in it. */
export interface ReadText {
  readonly trees: readonly Tree[];
  readonly mistake?: Mistake;
}

/** So much is read again in sum; a second reading is slower than the first, and stack files are small. */
const RECOVERY_CHARS_MAX = 512 * 1024;
/** A text with more mistakes than this is another kind of text. */
const MISTAKES_MAX = 20;

interface Cut {
  readonly mistake: Mistake;
  /** Where the taken lines begin and end. */
  readonly start: number;
  readonly end: number;
  /** What stands there instead. */
  readonly blank: string;
  /** The key that lost its value. */
  readonly keyOffset: number | undefined;
}

/**
 * Reads `source`, in which there is `first`, by `read`; records all mistakes and answers what is left. Where the rest cannot be
 * read for sure, `first` is recorded alone and nothing is left.
 */
export function recover(
  source: Source,
  first: Mistake,
  problems: Problems,
  read: (source: Source, problems: Problems) => ReadText,
): readonly Tree[] {
  const cuts = new Map<number, Cut>();
  let mistake: Mistake | undefined = first;
  let left = RECOVERY_CHARS_MAX;
  let rounds = MISTAKES_MAX;
  let result: ReadText = { trees: [] };
  const own = problems.fork();
  while (mistake !== undefined) {
    const cut = cutOf(source.text, mistake);
    left -= source.text.length;
    if (cut === undefined || cuts.has(cut.start) || left < 0 || --rounds < 0) {
      record(source, [first], problems);
      return [];
    }
    for (const later of [...cuts.keys()].filter((start) => start > cut.start)) cuts.delete(later);
    cuts.set(cut.start, cut);
    if (cut.keyOffset !== undefined) own.isTold({ source, offset: cut.keyOffset });
    if (losesNames(source.text, cut)) own.isIncomplete();
    result = read({ ...source, text: without(source.text, cuts) }, own);
    mistake = result.mistake;
  }
  problems.adopt(own);
  record(
    source,
    [...cuts.values()].map((cut) => cut.mistake),
    problems,
  );
  return result.trees;
}

function record(source: Source, mistakes: readonly Mistake[], problems: Problems): void {
  for (const { offset, message, ...extras } of mistakes)
    problems.error({ source, offset }, "", message, extras);
}

/** A key with its colon, in a list or not. */
const KEY = /^( *(?:- +)*)(?:[\w.-]+|"[^"\n]*"|'[^'\n]*') *:(?=\s|$)/;
/** A key whose colon is missing. */
const BARE_KEY = /^( *)([a-z_]+) (?=[^:\n]*$)/;

function cutOf(text: string, mistake: Mistake): Cut | undefined {
  // JSON in one or many lines: lines are no parts of it.
  if (/^\s*[{[]/.test(text)) return undefined;
  const start = text.lastIndexOf("\n", mistake.offset - 1) + 1;
  const line = lineAt(text, start);
  const column = mistake.offset - start;
  const key = KEY.exec(line);
  if (key !== null && column >= key[0].length) {
    const end = endOfDeeper(text, start, key[1]?.length ?? 0, !key[0].includes("- "));
    const keyOffset = start + (key[1]?.length ?? 0);
    return { mistake, start, end, blank: key[0], keyOffset };
  }
  const indent = line.search(/\S|$/);
  const end = endOfDeeper(text, start, indent, false);
  const bare = BARE_KEY.exec(line);
  if (bare !== null && column === indent) {
    return { mistake, start, end, blank: `${bare[1]}${bare[2]}:`, keyOffset: start + indent };
  }
  return line.trim() === "" ? undefined : { mistake, start, end, blank: "", keyOffset: undefined };
}

function lineAt(text: string, start: number): string {
  const end = text.indexOf("\n", start);
  return text.slice(start, end < 0 ? text.length : end);
}

/** Where the lines end that are deeper than `indent`; a key's list may stand in the key's own column. */
function endOfDeeper(text: string, start: number, indent: number, isKey: boolean): number {
  let at = start;
  while (true) {
    at += lineAt(text, at).length;
    if (at >= text.length) return text.length;
    const next = lineAt(text, at + 1);
    const depth = next.search(/\S|$/);
    const isItem = isKey && depth === indent && /^-(?:\s|$)/.test(next.slice(depth));
    if (next.trim() !== "" && depth <= indent && !isItem) return at;
    at++;
  }
}

function without(text: string, cuts: ReadonlyMap<number, Cut>): string {
  let result = text;
  for (const { start, end, blank } of cuts.values()) {
    const empty = text.slice(start + blank.length, end).replace(/[^\n]/g, " ");
    result = `${result.slice(0, start)}${blank}${empty}${result.slice(end)}`;
  }
  return result;
}

/** Whether something may be gone that others name: a key, a section of the file, or an anchor. */
function losesNames(text: string, { start, end, keyOffset }: Cut): boolean {
  return keyOffset === undefined || keyOffset === start || text.slice(start, end).includes("&");
}
