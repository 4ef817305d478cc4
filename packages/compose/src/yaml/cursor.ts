/**
 * A place in a text that is read from left to right: characters, lines, indentation.
 */

/** Thrown where the own reader gives up; never leaves the package's yaml folder. */
export class GiveUp extends Error {
  readonly offset: number;

  constructor(reason: string, offset: number) {
    super(reason);
    this.offset = offset;
  }
}

export const NEWLINE = 10;
export const SPACE = 32;
export const TAB = 9;
export const HASH = 35;

/** Reads a text. */
export class Cursor {
  readonly text: string;
  at = 0;
  /** Lines of a text in quotes may begin anywhere, as with the reference's reader; the grammar wants them indented. */
  readonly looseQuotes: boolean;

  constructor(text: string, looseQuotes = false) {
    this.text = text;
    this.looseQuotes = looseQuotes;
  }

  /** The code of the character `ahead` of the place; NaN past the end. */
  peek(ahead = 0): number {
    return this.text.charCodeAt(this.at + ahead);
  }

  giveUp(reason: string): never {
    throw new GiveUp(reason, this.at);
  }

  /** Whether a blank, a line's end or the text's end is `ahead`. */
  isBlank(ahead: number): boolean {
    const code = this.peek(ahead);
    return code === SPACE || code === NEWLINE || code === TAB || Number.isNaN(code);
  }

  skipSpaces(): void {
    let code = this.peek();
    while (code === SPACE || code === TAB) {
      this.at++;
      code = this.peek();
    }
  }

  /** After a value: only blanks and a comment may follow on its line. */
  endLine(): void {
    const start = this.at;
    this.skipSpaces();
    const code = this.peek();
    if (code === HASH && (this.at > start || this.isLineStart())) this.skipToLineEnd();
    else if (code !== NEWLINE && !Number.isNaN(code)) this.giveUp("more text after a value");
  }

  /** Whether nothing but blanks and a comment is left on this line. */
  restIsEmpty(): boolean {
    let at = this.at;
    let code = this.text.charCodeAt(at);
    while (code === SPACE || code === TAB) code = this.text.charCodeAt(++at);
    return code === NEWLINE || Number.isNaN(code) || (code === HASH && at > this.at);
  }

  isLineStart(): boolean {
    return this.at === 0 || this.text.charCodeAt(this.at - 1) === NEWLINE;
  }

  skipToLineEnd(): void {
    const end = this.text.indexOf("\n", this.at);
    this.at = end < 0 ? this.text.length : end;
  }

  lineEnd(): number {
    const end = this.text.indexOf("\n", this.at);
    return end < 0 ? this.text.length : end;
  }

  /**
   * From a line's end to the first character of the next line with content, past empty lines and comments.
   * Gives its indentation; -1 at the end of the text.
   */
  nextContent(): number {
    const { text } = this;
    if (!this.isLineStart() && this.at < text.length && this.peek() !== NEWLINE) {
      this.giveUp("more text after a value");
    }
    while (this.at < text.length) {
      if (text.charCodeAt(this.at) === NEWLINE) this.at++;
      const start = this.at;
      while (text.charCodeAt(this.at) === SPACE) this.at++;
      const code = text.charCodeAt(this.at);
      if (code === NEWLINE) continue;
      if (Number.isNaN(code)) return -1;
      if (code === HASH) {
        this.skipToLineEnd();
        continue;
      }
      if (code === TAB) this.giveUp("a tab in the indentation");
      const indent = this.at - start;
      if (indent === 0 && this.isMarker()) this.giveUp("a second document");
      return indent;
    }
    return -1;
  }

  /** `---` or `...` at the start of a line. */
  isMarker(at = this.at): boolean {
    const marker = this.text.startsWith("---", at) || this.text.startsWith("...", at);
    return marker && this.isBlank(at - this.at + 3);
  }
}
