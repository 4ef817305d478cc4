/**
 * Order of numbers and versions, for constraints such as `node.labels.kernel >= 5.15`.
 *
 * Whole numbers compare as such. Whatever has a dot compares part by part, so `5.4 < 5.15 < 5.15.1`, and a
 * pre-release (`-rc1`) comes before its release. That makes a decimal fraction a version too
 * (`0.5 < 0.25`): labels of nodes hold versions far more often, and one rule without guessing is easier
 * to foresee than two.
 */

/** Digits and dots, an optional `v`, an optional pre-release or build suffix. */
const VERSION = /^(v?)(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/i;
const WHOLE_NUMBER = /^-?\d+$/;

/** True when `text` can stand on the right of `<`, `<=`, `>` or `>=`. */
export function isComparable(text: string): boolean {
  return WHOLE_NUMBER.test(text) || VERSION.test(text);
}

/** Negative, 0 or positive as `left` is before, equal to or after `right`; `undefined` without an order. */
export function compareVersions(left: string, right: string): number | undefined {
  if (WHOLE_NUMBER.test(left) && WHOLE_NUMBER.test(right)) return Number(left) - Number(right);
  const a = VERSION.exec(left);
  const b = VERSION.exec(right);
  if (a === null || b === null) return undefined;
  return compareParts(a[2] ?? "", b[2] ?? "") || comparePreReleases(a[3], b[3]);
}

function compareParts(left: string, right: string): number {
  const a = left.split(".").map(Number);
  const b = right.split(".").map(Number);
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A release is after its pre-releases; these compare part by part, numbers before words. */
function comparePreReleases(left: string | undefined, right: string | undefined): number {
  if (left === undefined || right === undefined) return rank(left) - rank(right);
  const a = left.split(".");
  const b = right.split(".");
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = comparePart(a[index], b[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function rank(preRelease: string | undefined): number {
  return preRelease === undefined ? 1 : 0;
}

function comparePart(left: string | undefined, right: string | undefined): number {
  if (left === undefined) return -1;
  if (right === undefined) return 1;
  const numbers = /^\d+$/;
  if (numbers.test(left) && numbers.test(right)) return Number(left) - Number(right);
  if (numbers.test(left)) return -1;
  if (numbers.test(right)) return 1;
  return left < right ? -1 : left > right ? 1 : 0;
}
