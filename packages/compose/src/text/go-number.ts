/**
 * Numbers as Go prints them, because the reference implementation is written in Go and its `%v` decides what a
 * container finds in its environment for an unquoted number.
 */

/** Floats from here on are written with an exponent; whole numbers that fit 64 bits never are. */
const EXPONENT_FROM = 1e6;

/** A 64-bit float as Go's `%v`: shortest form, an exponent below 1e-4 and from 1e6 on, of two digits or more. */
export function goFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  if (Object.is(value, -0)) return "-0";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= EXPONENT_FROM)) {
    const [mantissa = "0", exponent = "0"] = value.toExponential().split("e");
    const sign = exponent.startsWith("-") ? "-" : "+";
    return `${mantissa}e${sign}${exponent.replace(/^[+-]/, "").padStart(2, "0")}`;
  }
  return String(value);
}

/** The shortest decimal that names the same 32-bit float: `0.1`, not `0.10000000149011612`. */
export function float32Text(value: number): string {
  const narrow = Math.fround(value);
  if (!Number.isFinite(narrow)) return String(narrow);
  for (let digits = 1; digits <= 9; digits++) {
    const candidate = Number(narrow.toPrecision(digits));
    if (Math.fround(candidate) === narrow) return String(candidate);
  }
  return String(narrow);
}

/** Strings in the order of their bytes in UTF-8, as Go sorts them (UTF-16 order differs above U+FFFF). */
export function compareBytes(left: string, right: string): number {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a === b) continue;
    const aHigh = a >= 0xd800 && a <= 0xdfff;
    const bHigh = b >= 0xd800 && b <= 0xdfff;
    if (aHigh !== bHigh) return aHigh ? 1 : -1;
    return a - b;
  }
  return left.length - right.length;
}
