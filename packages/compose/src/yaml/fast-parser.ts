/**
 * Our own YAML reader: block and flow style, all scalars, anchors, aliases, tags, one document; straight to trees,
 * in one pass, linear.
 *
 * It is sound and not complete: what it gives is what the `yaml` package gives (a property test holds them
 * together), and what it does not know it gives up on, with the place. It makes no messages about syntax.
 */

import type { Problems } from "../problem.ts";
import {
  isNull,
  nullTree,
  type Source,
  scalar,
  seqTree,
  type Tree,
  textTree,
} from "../tree/tree.ts";
import type { Anchors } from "./anchors.ts";
import { readBlockScalar } from "./block-scalar.ts";
import { type Cursor, GiveUp, HASH, NEWLINE, SPACE, TAB } from "./cursor.ts";
import { ANCHOR_NAME, FlowReader, isColonValue, skipBlanks, wordEnd } from "./flow-reader.ts";
import { plainEnd, readPlain, readQuoted, startsPlain } from "./flow-scalars.ts";
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
export function parseFast(
  source: Source,
  problems: Problems,
  { looseQuotes = false }: { readonly looseQuotes?: boolean } = {},
): FastResult {
  const own = problems.fork();
  try {
    const tree = new FastParser(source, own, looseQuotes).document();
    problems.adopt(own);
    return { tree, offset: 0, reason: "" };
  } catch (error) {
    if (!(error instanceof GiveUp)) throw error;
    return { tree: undefined, offset: error.offset, reason: error.message };
  }
}

/** Tags that say nothing about a value's type. */
const MARKS: ReadonlySet<string> = new Set(["!reset", "!override"]);

const DASH = 45;
const COLON = 58;
const QUESTION = 63;
const DOUBLE = 34;
const SINGLE = 39;
const OPEN_LIST = 91;
const OPEN_MAP = 123;
const BAR = 124;
const ANGLE = 62;
const AMPERSAND = 38;
const STAR = 42;
const BANG = 33;

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
  readonly #problems: Problems;
  readonly #flow: FlowReader;
  readonly #anchors: Anchors;
  readonly #cursor: Cursor;

  constructor(source: Source, problems: Problems, looseQuotes: boolean) {
    this.#problems = problems;
    this.#flow = new FlowReader(source, problems, looseQuotes);
    this.#anchors = this.#flow.anchors;
    this.#cursor = this.#flow.cursor;
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
    if (indent < 0) return nullTree(this.#flow.at(0));
    const tree = this.#block(-1, indent, "");
    if (cursor.nextContent() >= 0) cursor.giveUp("text that belongs to nothing");
    return tree;
  }

  /** A value in block style; the cursor is on its first character, in column `indent`. */
  #block(parentIndent: number, indent: number, path: string): Tree {
    this.#flow.enter();
    const cursor = this.#cursor;
    const code = cursor.peek();
    let tree: Tree;
    if (code === DASH && cursor.isBlank(1)) tree = this.#blockList(indent, path);
    else if (code === QUESTION && cursor.isBlank(1)) tree = cursor.giveUp("an explicit key");
    else if (this.#isKey()) tree = this.#blockMap(indent, path);
    else tree = this.#inline({ parentIndent, column: indent, path, fallback: cursor.at });
    this.#flow.leave();
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
    const builder = new MapBuilder(this.#flow.at(cursor.at), path, this.#problems);
    while (true) {
      const key = this.#flow.key(false);
      const isMerge = key.text === "<<" && cursor.text.charCodeAt(key.offset) === 60;
      const name = builder.key(key) ?? "";
      const next = builder.pathOf(name);
      const value = this.#mapValue(indent, next, key.offset);
      if (isMerge) builder.merge(this.#flow.at(key.offset), value);
      else if (key.type === "string") builder.add(name, this.#flow.at(key.offset), value);
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
    return nullTree(this.#flow.at(fallback));
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
    return seqTree(this.#flow.at(start), items);
  }

  #listItem(indent: number, path: string, dash: number): Tree {
    const cursor = this.#cursor;
    if (cursor.restIsEmpty()) {
      cursor.endLine();
      const before = cursor.at;
      const found = cursor.nextContent();
      if (found > indent) return this.#block(indent, found, path);
      cursor.at = before;
      return nullTree(this.#flow.at(dash));
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
      const tree = this.#flow.alias(path);
      cursor.endLine();
      return tree;
    }
    const properties = this.#properties();
    if (properties === undefined) return this.#content(place.parentIndent, path);
    if (properties.anchor !== undefined) this.#anchors.open(properties.anchor, path);
    const content = this.#afterProperties(place);
    // The two readers would name other places.
    if (isNull(content) && !MARKS.has(properties.tag ?? "!reset"))
      cursor.giveUp("a tag on nothing");
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
      if (code === AMPERSAND && anchor === undefined && ANCHOR_NAME.test(word))
        anchor = word.slice(1);
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

  /** A scalar or a flow collection, in block style. */
  #content(parentIndent: number, path: string): Tree {
    const cursor = this.#cursor;
    const origin = this.#flow.at(cursor.at);
    const code = cursor.peek();
    if (code === BAR || code === ANGLE)
      return textTree(origin, readBlockScalar(cursor, parentIndent));
    if (code === OPEN_LIST || code === OPEN_MAP) {
      const tree = this.#flow.flow(parentIndent, path);
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
}

/** `!!str` in full, `!reset` as it is; `undefined` for tags of other forms. */
function fullTag(word: string): string | undefined {
  if (!/^!!?[A-Za-z][A-Za-z0-9_-]*$/.test(word)) return undefined;
  return word.startsWith("!!") ? `tag:yaml.org,2002:${word.slice(2)}` : word;
}
