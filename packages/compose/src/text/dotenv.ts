/**
 * Env files: `.env`, `--env-file` and a service's `env_file`, as the reference implementation reads them.
 *
 * `NAME=value` or `NAME: value`, `export` allowed, comments at line starts and after a space, single quotes
 * literal, double quotes with escapes and variables and over several lines; a bare `NAME` is taken from the
 * environment. The raw format takes every line as it is, like `docker run --env-file`. One pass, linear.
 */

import { interpolate, type Lookup } from "./template.ts";

/** Something wrong in an env file. */
export interface DotenvProblem {
  readonly line: number;
  readonly message: string;
}

export interface DotenvResult {
  readonly values: ReadonlyMap<string, string>;
  readonly problems: readonly DotenvProblem[];
  /** The last line that gives a value to no name, if one does: a container may be given it, a process cannot. */
  readonly namelessLine?: number;
}

/** Reads an env file; `lookup` gives variables that its values mention, before the file's own. */
export function parseDotenv(text: string, lookup: Lookup): DotenvResult {
  const reader = new DotenvReader(text.replace(/^\uFEFF/, ""), lookup);
  return reader.read();
}

/** Reads an env file in raw format: no quotes, no variables, no escapes. */
export function parseRawEnv(text: string, lookup: Lookup): DotenvResult {
  const values = new Map<string, string>();
  const problems: DotenvProblem[] = [];
  for (const [index, written] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    const line = written.replace(/^[ \t]+/, "").replace(/\r$/, "");
    if (line === "" || line.startsWith("#")) continue;
    const equals = line.indexOf("=");
    const name = equals < 0 ? line : line.slice(0, equals);
    if (name === "" || /\s/.test(name)) {
      problems.push({
        line: index + 1,
        message: `${JSON.stringify(name)} is not a variable's name`,
      });
    } else if (equals >= 0) {
      values.set(name, line.slice(equals + 1));
    } else {
      const inherited = lookup(name);
      if (inherited !== undefined) values.set(name, inherited);
    }
  }
  return { values, problems };
}

const NAME = /[\p{L}\p{N}_.\-[\]]/u;
const INLINE_SPACE = /[\t\v\f\r \u0085\u00A0]/;
const ESCAPE = /\\(?:[abcfnrtv$"\\]|0\d{0,3})/g;
const ESCAPES: Readonly<Record<string, string>> = {
  "\\a": "\x07",
  "\\b": "\b",
  "\\f": "\f",
  "\\n": "\n",
  "\\r": "\r",
  "\\t": "\t",
  "\\v": "\v",
  '\\"': '"',
  "\\\\": "\\",
  "\\$": "$$",
};

class DotenvReader {
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #values = new Map<string, string>();
  readonly #problems: DotenvProblem[] = [];
  #at = 0;
  #line = 1;
  #namelessLine: number | undefined;

  constructor(text: string, lookup: Lookup) {
    this.#text = text;
    this.#lookup = lookup;
  }

  read(): DotenvResult {
    while (this.#skipToStatement() && this.#problems.length < 20) this.#statement();
    const nameless = this.#namelessLine;
    return {
      values: this.#values,
      problems: this.#problems,
      ...(nameless === undefined ? {} : { namelessLine: nameless }),
    };
  }

  #skipToStatement(): boolean {
    const text = this.#text;
    while (this.#at < text.length) {
      const char = text[this.#at] ?? "";
      if (char === "#") this.#skipLine();
      else if (char === "\n") this.#newline();
      else if (/\s/.test(char)) this.#at++;
      else return true;
    }
    return false;
  }

  #newline(): void {
    this.#at++;
    this.#line++;
  }

  #skipLine(): void {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  #statement(): void {
    const rest = this.#restOfLine();
    const exported = /^export[\t\v\f\r \u0085\u00A0]+/.exec(rest)?.[0] ?? "";
    this.#at += exported.length;
    const name = this.#name();
    if (name === undefined) {
      this.#skipLine();
      return;
    }
    const separator = this.#text[this.#at];
    if (separator !== "=" && separator !== ":") {
      this.#inherit(name);
      return;
    }
    this.#at++;
    if (name === "") this.#namelessLine = this.#line;
    while (INLINE_SPACE.test(this.#text[this.#at] ?? "")) this.#at++;
    const quote = this.#text[this.#at];
    const value = quote === '"' || quote === "'" ? this.#quoted(quote) : this.#unquoted();
    if (value !== undefined) this.#values.set(name, value);
  }

  /** The name, up to `=`, `:` or the end of the line; `undefined` after recording a problem. */
  #name(): string | undefined {
    const start = this.#at;
    const text = this.#text;
    while (this.#at < text.length && !"=:\n".includes(text[this.#at] ?? "")) {
      const char = text[this.#at] ?? "";
      if (!NAME.test(char) && !INLINE_SPACE.test(char) && !isSurrogate(char)) {
        return this.#problem(`unexpected ${JSON.stringify(char)} in the name of a variable`);
      }
      this.#at++;
    }
    const name = text.slice(start, this.#at).trim();
    if (/\s/.test(name)) return this.#problem(`the name ${JSON.stringify(name)} has a space`);
    return name;
  }

  #inherit(name: string): void {
    const value = this.#lookup(name);
    if (value !== undefined && name !== "") this.#values.set(name, value);
  }

  #unquoted(): string {
    const line = this.#restOfLine();
    this.#at += line.length;
    const comment = line.indexOf(" #");
    return this.#expand((comment < 0 ? line : line.slice(0, comment)).trimEnd());
  }

  #quoted(quote: string): string | undefined {
    const opened = this.#line;
    const chars: string[] = [];
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const char = this.#text[at] ?? "";
      if (char === "\n") this.#line++;
      if (char === quote) {
        this.#at = at + 1;
        const value = chars.join("");
        return quote === '"' ? this.#expand(unescaped(value)) : value;
      }
      if (char !== "\\") {
        chars.push(char);
        continue;
      }
      const next = this.#text[at + 1];
      if (next === undefined) break;
      chars.push(next === quote ? next : `\\${next}`);
      if (next === "\n") this.#line++;
      at++;
    }
    this.#at = this.#text.length;
    this.#problems.push({ line: opened, message: `the quote ${quote} is not closed` });
    return undefined;
  }

  #expand(value: string): string {
    const result = interpolate(value, (name) => this.#lookup(name) ?? this.#values.get(name));
    for (const issue of result.issues) {
      if (issue.kind === "unset") continue;
      this.#problem(
        issue.kind === "required"
          ? `the variable ${issue.variable} is required and not set: ${issue.detail}`
          : issue.detail,
      );
    }
    return result.text;
  }

  #restOfLine(): string {
    const end = this.#text.indexOf("\n", this.#at);
    return this.#text.slice(this.#at, end < 0 ? this.#text.length : end);
  }

  #problem(message: string): undefined {
    this.#problems.push({ line: this.#line, message });
  }
}

function isSurrogate(char: string): boolean {
  const code = char.charCodeAt(0);
  return code >= 0xd800 && code <= 0xdfff;
}

function unescaped(value: string): string {
  return value.replace(ESCAPE, (match) => {
    const known = ESCAPES[match];
    if (known !== undefined) return known;
    if (!/^\\0[0-7]{3}$/.test(match)) return match;
    const code = Number.parseInt(match.slice(2), 8);
    return code > 255 ? match : String.fromCodePoint(code);
  });
}
