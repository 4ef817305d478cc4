/**
 * Flow collections (`[a, b]`, `{a: b}`) of our own YAML reader, with keys and aliases, which block style has, too.
 *
 * Gives up on what is rare: pairs in lists, plain texts over lines, anchors and tags inside.
 */

import { DEPTH_MAX } from "../limits.ts";
import type { Problems } from "../problem.ts";
import {
  nullTree,
  type Origin,
  type ScalarTree,
  type Source,
  scalar,
  seqTree,
  type Tree,
  textTree,
} from "../tree/tree.ts";
import { Anchors } from "./anchors.ts";
import { Cursor, HASH, NEWLINE, SPACE, TAB } from "./cursor.ts";
import { isFlowIndicator, plainEnd, readQuoted, startsPlain } from "./flow-scalars.ts";
import { MapBuilder } from "./map-builder.ts";
import { resolvePlain } from "./plain-scalar.ts";

const COLON = 58;
const DOUBLE = 34;
const SINGLE = 39;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_MAP = 123;
const CLOSE_MAP = 125;
const COMMA = 44;
const AMPERSAND = 38;
const STAR = 42;
const BANG = 33;

/** Names of anchors that are read here; YAML allows almost everything. */
export const ANCHOR_NAME = /^[&*][A-Za-z0-9_.-]+$/;

/** Reads flow collections at a cursor. */
export class FlowReader {
  readonly cursor: Cursor;
  readonly anchors: Anchors;
  readonly #source: Source;
  readonly #problems: Problems;
  #depth = 0;

  constructor(source: Source, problems: Problems, looseQuotes: boolean) {
    this.cursor = new Cursor(source.text, looseQuotes);
    this.anchors = new Anchors(problems);
    this.#source = source;
    this.#problems = problems;
  }

  at(offset: number): Origin {
    return { source: this.#source, offset };
  }

  /** One level deeper; `leave` comes back. Nesting is bounded over block and flow style together. */
  enter(): void {
    if (++this.#depth > DEPTH_MAX) this.cursor.giveUp(`more than ${DEPTH_MAX} levels`);
  }

  leave(): void {
    this.#depth--;
  }

  /** A key up to and with its colon. */
  key(inFlow: boolean): ScalarTree {
    const cursor = this.cursor;
    const start = cursor.at;
    const code = cursor.peek();
    const quoted = code === DOUBLE || code === SINGLE;
    let key: ScalarTree;
    if (quoted) key = textTree(this.at(start), readQuoted(cursor, Number.POSITIVE_INFINITY));
    else {
      if (!startsPlain(cursor, inFlow)) cursor.giveUp("a key of another kind");
      const end = plainEnd(cursor, inFlow);
      const resolved = resolvePlain(cursor.text.slice(start, end));
      key = scalar(this.at(start), resolved.type, resolved.text);
      cursor.at = end;
    }
    cursor.skipSpaces();
    if (inFlow) return key;
    if (!isColonValue(cursor.text, cursor.at)) cursor.giveUp("a key without a colon");
    cursor.at++;
    return key;
  }

  /** The alias at the cursor. */
  alias(path: string): Tree {
    const cursor = this.cursor;
    const start = cursor.at;
    const end = wordEnd(cursor);
    const name = cursor.text.slice(start + 1, end);
    if (!ANCHOR_NAME.test(`*${name}`)) cursor.giveUp("an alias of another kind");
    cursor.at = end;
    if (isColonValue(cursor.text, skipBlanks(cursor.text, end))) cursor.giveUp("an alias as a key");
    return this.anchors.use(name, this.at(start), path);
  }

  /** The collection at the cursor, in a block of `parentIndent`. */
  flow(parentIndent: number, path: string): Tree {
    this.enter();
    const tree =
      this.cursor.peek() === OPEN_LIST
        ? this.#flowList(parentIndent, path)
        : this.#flowMap(parentIndent, path);
    this.leave();
    return tree;
  }

  #flowList(parentIndent: number, path: string): Tree {
    const cursor = this.cursor;
    const origin = this.at(cursor.at++);
    const items: Tree[] = [];
    while (true) {
      this.#skipFlowSpace(parentIndent);
      if (cursor.peek() === CLOSE_LIST) break;
      items.push(this.#flowValue(parentIndent, `${path}[${items.length}]`));
      this.#skipFlowSpace(parentIndent);
      if (cursor.peek() === COMMA) cursor.at++;
      else if (cursor.peek() !== CLOSE_LIST) cursor.giveUp("a list that is not closed");
    }
    cursor.at++;
    return seqTree(origin, items);
  }

  #flowMap(parentIndent: number, path: string): Tree {
    const cursor = this.cursor;
    const origin = this.at(cursor.at++);
    const builder = new MapBuilder(origin, path, this.#problems);
    while (true) {
      this.#skipFlowSpace(parentIndent);
      if (cursor.peek() === CLOSE_MAP) break;
      const quoted = cursor.peek() === DOUBLE || cursor.peek() === SINGLE;
      const key = this.key(true);
      const name = builder.key(key) ?? "";
      const value = this.#flowEntry(parentIndent, builder.pathOf(name), {
        offset: key.offset,
        quoted,
      });
      const isMerge = key.text === "<<" && !quoted;
      if (isMerge) builder.merge(this.at(key.offset), value);
      else if (key.type === "string") builder.add(name, this.at(key.offset), value);
      this.#skipFlowSpace(parentIndent);
      if (cursor.peek() === COMMA) cursor.at++;
      else if (cursor.peek() !== CLOSE_MAP) cursor.giveUp("a mapping that is not closed");
    }
    cursor.at++;
    return builder.finish();
  }

  #flowEntry(
    parentIndent: number,
    path: string,
    key: { readonly offset: number; readonly quoted: boolean },
  ): Tree {
    const cursor = this.cursor;
    if (cursor.peek() !== COLON) {
      if (cursor.peek() === NEWLINE) cursor.giveUp("a key over two lines");
      return nullTree(this.at(key.offset));
    }
    if (!key.quoted && !cursor.isBlank(1) && !isFlowIndicator(cursor.peek(1)))
      cursor.giveUp("a colon in a key");
    cursor.at++;
    this.#skipFlowSpace(parentIndent);
    const code = cursor.peek();
    if (code === COMMA || code === CLOSE_MAP) return nullTree(this.at(key.offset));
    return this.#flowValue(parentIndent, path);
  }

  #flowValue(parentIndent: number, path: string): Tree {
    const cursor = this.cursor;
    const code = cursor.peek();
    if (code === OPEN_LIST || code === OPEN_MAP) return this.flow(parentIndent, path);
    if (code === STAR || code === AMPERSAND || code === BANG) return this.#flowProperties(path);
    const origin = this.at(cursor.at);
    if (code === DOUBLE || code === SINGLE) {
      const text = readQuoted(cursor, parentIndent);
      if (cursor.text.charCodeAt(skipBlanks(cursor.text, cursor.at)) === COLON)
        cursor.giveUp("a pair in a list");
      return textTree(origin, text);
    }
    if (!startsPlain(cursor, true)) return cursor.giveUp("a value of another kind");
    const end = plainEnd(cursor, true);
    const after = cursor.text.charCodeAt(skipBlanks(cursor.text, end));
    if (after === COLON || after === NEWLINE) this.#refuseLongPlain(end, after);
    const resolved = resolvePlain(cursor.text.slice(cursor.at, end));
    cursor.at = end;
    return scalar(origin, resolved.type, resolved.text);
  }

  /** A plain text in a flow collection may go on on the next line: rare, and not read here. */
  #refuseLongPlain(end: number, after: number): void {
    const cursor = this.cursor;
    if (after === COLON) cursor.giveUp("a pair in a list");
    const next = /[^\s]/.exec(cursor.text.slice(end, end + 1000))?.[0] ?? "";
    if (next !== "]" && next !== "}" && next !== "," && next !== "#")
      cursor.giveUp("a text over two lines");
  }

  #flowProperties(path: string): Tree {
    const cursor = this.cursor;
    if (cursor.peek() !== STAR) return cursor.giveUp("an anchor or a tag in a flow collection");
    return this.alias(path);
  }

  /** Blanks, line breaks and comments between the parts of a flow collection. */
  #skipFlowSpace(parentIndent: number): void {
    const cursor = this.cursor;
    while (true) {
      const before = cursor.at;
      cursor.skipSpaces();
      const code = cursor.peek();
      if (code === HASH && (cursor.at > before || cursor.isLineStart())) cursor.skipToLineEnd();
      else if (code === NEWLINE) {
        const indent = cursor.nextContent();
        if (indent < 0) cursor.giveUp("a collection that is not closed");
        const closes = cursor.peek() === CLOSE_LIST || cursor.peek() === CLOSE_MAP;
        if (indent < parentIndent || (indent <= parentIndent && !closes))
          cursor.giveUp("a collection that is not indented");
        return;
      } else return;
    }
  }
}

/** The place after blanks. */
export function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB) at++;
  return at;
}

/** Whether a colon stands at `at` that ends a key. */
export function isColonValue(text: string, at: number): boolean {
  if (text.charCodeAt(at) !== COLON) return false;
  const next = text.charCodeAt(at + 1);
  return next === SPACE || next === NEWLINE || next === TAB || Number.isNaN(next);
}

/** The end of an anchor's or a tag's word. */
export function wordEnd(cursor: Cursor): number {
  let end = cursor.at;
  while (true) {
    const code = cursor.text.charCodeAt(end);
    const ends = code === SPACE || code === NEWLINE || code === TAB || Number.isNaN(code);
    if (ends || isFlowIndicator(code)) return end;
    end++;
  }
}
