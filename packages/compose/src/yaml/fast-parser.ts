/**
 * Our own YAML reader: block and flow style, all scalars, anchors, aliases, tags, one document; straight to trees,
 * in one pass, linear.
 *
 * It is sound and not complete: what it gives is what the `yaml` package gives (a property test holds them
 * together), and what it does not know it gives up on, with the place. It makes no messages about syntax.
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
import { readBlockScalar } from "./block-scalar.ts";
import { Cursor, GiveUp, HASH, NEWLINE, SPACE, TAB } from "./cursor.ts";
import { isFlowIndicator, plainEnd, readPlain, readQuoted, startsPlain } from "./flow-scalars.ts";
import { MapBuilder } from "./map-builder.ts";
import { resolvePlain } from "./plain-scalar.ts";
import { applyTag } from "./tag.ts";

/** The tree, or where and why the reader gave up. */
export interface FastResult {
  readonly tree: Tree | undefined;
  readonly offset: number;
  readonly reason: string;
}

/** Reads `source`. Problems of content (two equal keys) are recorded only when the whole text was read. */
export function parseFast(source: Source, problems: Problems): FastResult {
  const own = problems.fork();
  try {
    const tree = new FastParser(source, own).document();
    problems.adopt(own);
    return { tree, offset: 0, reason: "" };
  } catch (error) {
    if (!(error instanceof GiveUp)) throw error;
    return { tree: undefined, offset: error.offset, reason: error.message };
  }
}

const DASH = 45;
const COLON = 58;
const QUESTION = 63;
const DOUBLE = 34;
const SINGLE = 39;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_MAP = 123;
const CLOSE_MAP = 125;
const COMMA = 44;
const BAR = 124;
const ANGLE = 62;
const AMPERSAND = 38;
const STAR = 42;
const BANG = 33;

/** Names of anchors that are read here; YAML allows almost everything. */
const NAME = /^[&*][A-Za-z0-9_.-]+$/;

/** Anchor and tag before a value. */
interface Properties {
  readonly anchor: string | undefined;
  readonly tag: string | undefined;
}

/** Where a value stands that begins on a line with something before it. */
interface InlinePlace {
  readonly parentIndent: number;
  /** The value's column where it may be a block collection, -1 after a key. */
  readonly column: number;
  readonly path: string;
  /** The place of an empty value. */
  readonly fallback: number;
}

class FastParser {
  readonly #source: Source;
  readonly #problems: Problems;
  readonly #anchors: Anchors;
  readonly #cursor: Cursor;
  #depth = 0;

  constructor(source: Source, problems: Problems) {
    this.#source = source;
    this.#problems = problems;
    this.#anchors = new Anchors(problems);
    this.#cursor = new Cursor(source.text);
  }

  document(): Tree {
    const cursor = this.#cursor;
    if (cursor.text.includes("\r") || cursor.text.startsWith("%"))
      cursor.giveUp("a carriage return or a directive");
    if (cursor.text.startsWith("---") && cursor.isBlank(3)) {
      cursor.at = 3;
      cursor.endLine();
    }
    const indent = cursor.nextContent();
    if (cursor.peek() === 37) cursor.giveUp("a directive");
    if (indent < 0) return nullTree(this.#at(0));
    const tree = this.#block(-1, indent, "");
    if (cursor.nextContent() >= 0) cursor.giveUp("text that belongs to nothing");
    return tree;
  }

  #at(offset: number): Origin {
    return { source: this.#source, offset };
  }

  #enter(): void {
    if (++this.#depth > DEPTH_MAX) this.#cursor.giveUp(`more than ${DEPTH_MAX} levels`);
  }

  /** A value in block style; the cursor is on its first character, in column `indent`. */
  #block(parentIndent: number, indent: number, path: string): Tree {
    this.#enter();
    const cursor = this.#cursor;
    const code = cursor.peek();
    let tree: Tree;
    if (code === DASH && cursor.isBlank(1)) tree = this.#blockList(indent, path);
    else if (code === QUESTION && cursor.isBlank(1)) tree = cursor.giveUp("an explicit key");
    else if (this.#isKey()) tree = this.#blockMap(indent, path);
    else tree = this.#inline({ parentIndent, column: indent, path, fallback: cursor.at });
    this.#depth--;
    return tree;
  }

  /** Whether a key and its colon stand here. The cursor stays. */
  #isKey(): boolean {
    const cursor = this.#cursor;
    const code = cursor.peek();
    if (code === DOUBLE || code === SINGLE) return this.#isQuotedKey();
    if (!startsPlain(cursor, false)) return false;
    return cursor.text.charCodeAt(skipBlanks(cursor.text, plainEnd(cursor, false))) === COLON;
  }

  #isQuotedKey(): boolean {
    const { text, at } = this.#cursor;
    const quote = text[at];
    for (let end = at + 1; end < text.length && text[end] !== "\n"; end++) {
      if (text[end] === "\\" && quote === '"') end++;
      else if (text[end] === quote) {
        if (quote === "'" && text[end + 1] === "'") end++;
        else return isColonValue(text, skipBlanks(text, end + 1));
      }
    }
    return false;
  }

  #blockMap(indent: number, path: string): Tree {
    const cursor = this.#cursor;
    const builder = new MapBuilder(this.#at(cursor.at), path, this.#problems);
    while (true) {
      const key = this.#key(false);
      const isMerge = key.text === "<<" && cursor.text.charCodeAt(key.offset) === 60;
      const name = builder.key(key) ?? "";
      const next = builder.pathOf(name);
      const value = this.#mapValue(indent, next, key.offset);
      if (isMerge) builder.merge(value);
      else if (key.type === "string") builder.add(name, this.#at(key.offset), value);
      const found = cursor.nextContent();
      if (found < indent) break;
      if (found > indent || !this.#isKey()) cursor.giveUp("a line that is no key");
    }
    this.#backToLine();
    return builder.finish();
  }

  /** After a look at the next line: the caller looks at it again. */
  #backToLine(): void {
    const cursor = this.#cursor;
    if (cursor.at >= cursor.text.length) return;
    cursor.at = cursor.text.lastIndexOf("\n", cursor.at - 1);
    if (cursor.at < 0) cursor.at = 0;
  }

  /** A key up to and with its colon. */
  #key(inFlow: boolean): ScalarTree {
    const cursor = this.#cursor;
    const start = cursor.at;
    const code = cursor.peek();
    const quoted = code === DOUBLE || code === SINGLE;
    let key: ScalarTree;
    if (quoted) key = textTree(this.#at(start), readQuoted(cursor, Number.POSITIVE_INFINITY));
    else {
      if (!startsPlain(cursor, inFlow)) cursor.giveUp("a key of another kind");
      const end = plainEnd(cursor, inFlow);
      const resolved = resolvePlain(cursor.text.slice(start, end));
      key = scalar(this.#at(start), resolved.type, resolved.text);
      cursor.at = end;
    }
    cursor.skipSpaces();
    if (inFlow) return key;
    if (!isColonValue(cursor.text, cursor.at)) cursor.giveUp("a key without a colon");
    cursor.at++;
    return key;
  }

  /** What follows a key's colon. */
  #mapValue(indent: number, path: string, keyOffset: number): Tree {
    const cursor = this.#cursor;
    if (!cursor.restIsEmpty()) {
      cursor.skipSpaces();
      return this.#inline({ parentIndent: indent, column: -1, path, fallback: keyOffset });
    }
    cursor.endLine();
    return this.#nested(indent, path, keyOffset, true);
  }

  /** A value on the lines below; after a key a list may stand in the key's own column. */
  #nested(indent: number, path: string, fallback: number, afterKey: boolean): Tree {
    const cursor = this.#cursor;
    const before = cursor.at;
    const found = cursor.nextContent();
    const list = afterKey && found === indent && cursor.peek() === DASH && cursor.isBlank(1);
    if (found > indent || list) return this.#block(list ? indent - 1 : indent, found, path);
    cursor.at = before;
    return nullTree(this.#at(fallback));
  }

  #blockList(indent: number, path: string): Tree {
    const cursor = this.#cursor;
    const start = cursor.at;
    const items: Tree[] = [];
    while (true) {
      const dash = cursor.at;
      cursor.at++;
      items.push(this.#listItem(indent, `${path}[${items.length}]`, dash));
      const found = cursor.nextContent();
      if (found < indent || (found === indent && !(cursor.peek() === DASH && cursor.isBlank(1))))
        break;
      if (found > indent) cursor.giveUp("a line that is no item");
    }
    this.#backToLine();
    return seqTree(this.#at(start), items);
  }

  #listItem(indent: number, path: string, dash: number): Tree {
    const cursor = this.#cursor;
    if (cursor.restIsEmpty()) {
      cursor.endLine();
      const before = cursor.at;
      const found = cursor.nextContent();
      if (found > indent) return this.#block(indent, found, path);
      cursor.at = before;
      return nullTree(this.#at(dash));
    }
    while (cursor.peek() === SPACE) cursor.at++;
    if (cursor.peek() === TAB) cursor.giveUp("a tab after a dash");
    return this.#block(indent, indent + cursor.at - dash, path);
  }

  /** A value that begins on this line and is no block collection, or has properties before it. */
  #inline(place: InlinePlace): Tree {
    const cursor = this.#cursor;
    const { path } = place;
    if (cursor.peek() === STAR) {
      const tree = this.#alias(path);
      cursor.endLine();
      return tree;
    }
    const properties = this.#properties();
    if (properties === undefined) return this.#content(place.parentIndent, path);
    if (properties.anchor !== undefined) this.#anchors.open(properties.anchor, path);
    const content = this.#afterProperties(place);
    const tree = applyTag(content, properties.tag, path, this.#problems);
    if (properties.anchor !== undefined) this.#anchors.close(properties.anchor, tree);
    return tree;
  }

  #afterProperties({ parentIndent, column, path, fallback }: InlinePlace): Tree {
    const cursor = this.#cursor;
    if (!cursor.restIsEmpty()) {
      cursor.skipSpaces();
      // `&a key: value` names the key and not the mapping.
      if (column >= 0 && this.#isKey()) cursor.giveUp("an anchor or a tag on a key");
      return this.#content(parentIndent, path);
    }
    cursor.endLine();
    return this.#nested(parentIndent, path, fallback, column < 0);
  }

  #properties(): Properties | undefined {
    const cursor = this.#cursor;
    let anchor: string | undefined;
    let tag: string | undefined;
    for (let code = cursor.peek(); code === AMPERSAND || code === BANG; code = cursor.peek()) {
      const end = wordEnd(cursor);
      const word = cursor.text.slice(cursor.at, end);
      if (code === AMPERSAND && anchor === undefined && NAME.test(word)) anchor = word.slice(1);
      else if (code === BANG && tag === undefined)
        tag = fullTag(word) ?? cursor.giveUp("a tag of another kind");
      else cursor.giveUp("two anchors or tags");
      cursor.at = end;
      const after = cursor.peek();
      if (!cursor.isBlank(0)) cursor.giveUp("text right after an anchor or a tag");
      if (after === NEWLINE || Number.isNaN(after)) break;
      while (cursor.peek() === SPACE || cursor.peek() === TAB) cursor.at++;
      if (cursor.peek() === HASH || cursor.peek() === NEWLINE) {
        cursor.at--;
        break;
      }
    }
    return anchor === undefined && tag === undefined ? undefined : { anchor, tag };
  }

  #alias(path: string): Tree {
    const cursor = this.#cursor;
    const start = cursor.at;
    const end = wordEnd(cursor);
    const name = cursor.text.slice(start + 1, end);
    if (!NAME.test(`*${name}`)) cursor.giveUp("an alias of another kind");
    cursor.at = end;
    if (isColonValue(cursor.text, skipBlanks(cursor.text, end))) cursor.giveUp("an alias as a key");
    return this.#anchors.use(name, this.#at(start), path);
  }

  /** A scalar or a flow collection, in block style. */
  #content(parentIndent: number, path: string): Tree {
    const cursor = this.#cursor;
    const origin = this.#at(cursor.at);
    const code = cursor.peek();
    if (code === BAR || code === ANGLE)
      return textTree(origin, readBlockScalar(cursor, parentIndent));
    if (code === OPEN_LIST || code === OPEN_MAP) {
      const tree = this.#flow(parentIndent, path);
      if (cursor.text.charCodeAt(skipBlanks(cursor.text, cursor.at)) === COLON)
        cursor.giveUp("a collection as a key");
      cursor.endLine();
      return tree;
    }
    if (code === DOUBLE || code === SINGLE) {
      const text = readQuoted(cursor, parentIndent);
      if (isColonValue(cursor.text, skipBlanks(cursor.text, cursor.at)))
        cursor.giveUp("a key inside a value");
      cursor.endLine();
      return textTree(origin, text);
    }
    if (!startsPlain(cursor, false)) return cursor.giveUp("a value of another kind");
    const text = readPlain(cursor, parentIndent);
    cursor.endLine();
    const resolved = resolvePlain(text);
    return scalar(origin, resolved.type, resolved.text);
  }

  #flow(parentIndent: number, path: string): Tree {
    this.#enter();
    const tree =
      this.#cursor.peek() === OPEN_LIST
        ? this.#flowList(parentIndent, path)
        : this.#flowMap(parentIndent, path);
    this.#depth--;
    return tree;
  }

  #flowList(parentIndent: number, path: string): Tree {
    const cursor = this.#cursor;
    const origin = this.#at(cursor.at++);
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
    const cursor = this.#cursor;
    const origin = this.#at(cursor.at++);
    const builder = new MapBuilder(origin, path, this.#problems);
    while (true) {
      this.#skipFlowSpace(parentIndent);
      if (cursor.peek() === CLOSE_MAP) break;
      const quoted = cursor.peek() === DOUBLE || cursor.peek() === SINGLE;
      const key = this.#key(true);
      const name = builder.key(key) ?? "";
      const value = this.#flowEntry(parentIndent, builder.pathOf(name), {
        offset: key.offset,
        quoted,
      });
      const isMerge = key.text === "<<" && !quoted;
      if (isMerge) builder.merge(value);
      else if (key.type === "string") builder.add(name, this.#at(key.offset), value);
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
    const cursor = this.#cursor;
    if (cursor.peek() !== COLON) {
      if (cursor.peek() === NEWLINE) cursor.giveUp("a key over two lines");
      return nullTree(this.#at(key.offset));
    }
    if (!key.quoted && !cursor.isBlank(1) && !isFlowIndicator(cursor.peek(1)))
      cursor.giveUp("a colon in a key");
    cursor.at++;
    this.#skipFlowSpace(parentIndent);
    const code = cursor.peek();
    if (code === COMMA || code === CLOSE_MAP) return nullTree(this.#at(key.offset));
    return this.#flowValue(parentIndent, path);
  }

  #flowValue(parentIndent: number, path: string): Tree {
    const cursor = this.#cursor;
    const code = cursor.peek();
    if (code === OPEN_LIST || code === OPEN_MAP) return this.#flow(parentIndent, path);
    if (code === STAR || code === AMPERSAND || code === BANG) return this.#flowProperties(path);
    const origin = this.#at(cursor.at);
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
    const cursor = this.#cursor;
    if (after === COLON) cursor.giveUp("a pair in a list");
    const next = /[^\s]/.exec(cursor.text.slice(end, end + 1000))?.[0] ?? "";
    if (next !== "]" && next !== "}" && next !== "," && next !== "#")
      cursor.giveUp("a text over two lines");
  }

  #flowProperties(path: string): Tree {
    const cursor = this.#cursor;
    if (cursor.peek() !== STAR) return cursor.giveUp("an anchor or a tag in a flow collection");
    return this.#alias(path);
  }

  /** Blanks, line breaks and comments between the parts of a flow collection. */
  #skipFlowSpace(parentIndent: number): void {
    const cursor = this.#cursor;
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

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB) at++;
  return at;
}

/** Whether a colon stands at `at` that ends a key. */
function isColonValue(text: string, at: number): boolean {
  if (text.charCodeAt(at) !== COLON) return false;
  const next = text.charCodeAt(at + 1);
  return next === SPACE || next === NEWLINE || next === TAB || Number.isNaN(next);
}

/** The end of an anchor's or a tag's word. */
function wordEnd(cursor: Cursor): number {
  let end = cursor.at;
  while (true) {
    const code = cursor.text.charCodeAt(end);
    const ends = code === SPACE || code === NEWLINE || code === TAB || Number.isNaN(code);
    if (ends || isFlowIndicator(code)) return end;
    end++;
  }
}

/** `!!str` in full, `!reset` as it is; `undefined` for tags of other forms. */
function fullTag(word: string): string | undefined {
  if (!/^!!?[A-Za-z][A-Za-z0-9_-]*$/.test(word)) return undefined;
  return word.startsWith("!!") ? `tag:yaml.org,2002:${word.slice(2)}` : word;
}
