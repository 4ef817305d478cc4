/**
 * The order of keys in the reference's YAML output: letters after other characters, runs of digits by their value.
 */

const LETTER = /\p{L}/u;
const DIGIT = /\p{Nd}/u;

/** Compares two keys. Linear in their length. */
export function compareNatural(left: string, right: string): number {
  const a = [...left];
  const b = [...right];
  let afterDigit = false;
  for (let at = 0; at < a.length && at < b.length; at++) {
    const x = a[at] ?? "";
    const y = b[at] ?? "";
    if (x === y) afterDigit = DIGIT.test(x);
    else return compareAt({ a, b, at, afterDigit });
  }
  return a.length - b.length;
}

interface Difference {
  readonly a: readonly string[];
  readonly b: readonly string[];
  /** The first place where the two differ. */
  readonly at: number;
  readonly afterDigit: boolean;
}

function compareAt({ a, b, at, afterDigit }: Difference): number {
  const x = a[at] ?? "";
  const y = b[at] ?? "";
  const xLetter = LETTER.test(x);
  const yLetter = LETTER.test(y);
  if (xLetter && yLetter) return codeOf(x) - codeOf(y);
  // A number ends before a letter: `a1b` comes before `a10`; elsewhere letters come last.
  if (xLetter || yLetter) return xLetter === afterDigit ? -1 : 1;
  // A zero inside a number is a digit of it and no leading one.
  const inside = (x === "0" || y === "0") && insideNumber(a, at) ? 1n : 0n;
  const left = digitsFrom(a, at, inside);
  const right = digitsFrom(b, at, inside);
  if (left.value !== right.value) return left.value < right.value ? -1 : 1;
  return left.end === right.end ? codeOf(x) - codeOf(y) : left.end - right.end;
}

function insideNumber(chars: readonly string[], at: number): boolean {
  for (let before = at - 1; before >= 0 && DIGIT.test(chars[before] ?? ""); before--) {
    if (chars[before] !== "0") return true;
  }
  return false;
}

/** Longer numbers are cut: keys are not told apart by their thirtieth digit. */
const DIGITS_MAX = 30;

function digitsFrom(
  chars: readonly string[],
  from: number,
  start: bigint,
): { readonly value: bigint; readonly end: number } {
  let value = start;
  let end = from;
  while (end < chars.length && end - from < DIGITS_MAX && /[0-9]/.test(chars[end] ?? "")) {
    value = value * 10n + BigInt(chars[end] ?? "0");
    end++;
  }
  return { value, end };
}

function codeOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}
