/**
 * Whether a regular expression of a tenant is one that cannot hurt others.
 *
 * HAProxy matches in its only loop: an expression that backtracks without bound would stop everybody's
 * requests. Refused are repetition of what has choices in itself (`(a+)+`, `(a|b)*`), groups that look around, references to groups, and more
 * than a few open repetitions, which bounds the work of a match to a small power of the path's length.
 * What PCRE itself does not understand is found by `haproxy -c`. Pure; O(length).
 */

/** Longer ones are lists that should be several routes. */
export const REGEX_CHARACTERS_MAX = 512;
/** `*`, `+`, `{n,}` outside of classes. Each multiplies the work by the length in the worst case. */
export const OPEN_REPETITIONS_MAX = 4;
/** `{n}` and `{n,m}` are written out by PCRE. */
const REPETITION_COUNT_MAX = 256;

/** What is wrong with it, as what was expected instead; `undefined` when it may be used. */
export function regexProblem(regex: string): string | undefined {
  if (regex === "" || regex.length > REGEX_CHARACTERS_MAX) {
    return `a regular expression of 1 to ${REGEX_CHARACTERS_MAX} characters`;
  }
  if (!/^[\x21-\x7e]+$/.test(regex)) return "a regular expression of visible ASCII characters";
  try {
    new RegExp(regex);
  } catch {
    return "a regular expression that can be read";
  }
  return new Scan(regex).problem();
}

/** One pass over the text, with a stack of open groups. */
class Scan {
  readonly #text: string;
  #at = 0;
  #open = 0;
  /** For each open group, whether it has choices: repetition, alternatives. */
  readonly #groups: boolean[] = [false];

  constructor(text: string) {
    this.#text = text;
  }

  problem(): string | undefined {
    while (this.#at < this.#text.length) {
      const problem = this.#step();
      if (problem !== undefined) return problem;
    }
    if (this.#open <= OPEN_REPETITIONS_MAX) return undefined;
    return `at most ${OPEN_REPETITIONS_MAX} open repetitions (*, +, {n,})`;
  }

  #step(): string | undefined {
    const character = this.#text.charAt(this.#at);
    if (character === "\\") {
      if (/[1-9kgG]/.test(this.#text.charAt(this.#at + 1))) return "no reference to a group";
      this.#at += 2;
      return this.#repetition(false);
    }
    if (character === "[") {
      if (/^\[\^?\]/.test(this.#text.slice(this.#at))) return "no class that is empty";
      this.#skipClass();
      return this.#repetition(false);
    }
    if (character === "(") {
      this.#at++;
      if (this.#text.charAt(this.#at) === "?" && this.#text.charAt(this.#at + 1) !== ":") {
        return "no group that looks around or sets options";
      }
      if (this.#text.charAt(this.#at) === "?") this.#at += 2;
      this.#groups.push(false);
      return undefined;
    }
    this.#at++;
    if (character === "|") this.#mark();
    if (character !== ")") return this.#repetition(false);
    const repeats = this.#groups.pop() ?? false;
    if (repeats) this.#mark();
    return this.#repetition(repeats);
  }

  #skipClass(): void {
    this.#at++;
    while (this.#at < this.#text.length && this.#text.charAt(this.#at) !== "]") {
      this.#at += this.#text.charAt(this.#at) === "\\" ? 2 : 1;
    }
    this.#at++;
  }

  /** Reads what repeats the item before, if anything does. `repeating`: the item has choices. */
  #repetition(repeating: boolean): string | undefined {
    const found = /^(?:[*+?]|\{(\d+)(,(\d*))?\})[?+]?/.exec(this.#text.slice(this.#at));
    if (found === null) return undefined;
    const [all, low, comma, high] = found;
    this.#at += all.length;
    if (all.startsWith("?")) {
      this.#mark();
      return undefined;
    }
    if (repeating) return "no repetition of a group with choices in it, as in (a+)+ or (a|b)*";
    if (Math.max(Number(low ?? 0), Number(high ?? 0)) > REPETITION_COUNT_MAX) {
      return `repetitions up to ${REPETITION_COUNT_MAX}`;
    }
    this.#mark();
    if (low === undefined || (comma !== undefined && high === "")) this.#open++;
    return undefined;
  }

  #mark(): void {
    this.#groups[this.#groups.length - 1] = true;
  }
}
