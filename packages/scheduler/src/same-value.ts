/**
 * Are two pieces of plain data equal? Asks of one service mostly are, and are made one by one, so comparing
 * them with the last one spares writing each of them down. A key without a value is as good as none.
 * Cost: O(size) without allocation; O(1) for what is the same object.
 */

export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && sameItems(a, b);
  }
  return coveredBy(a, b) && keysCovered(b, a);
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) {
    if (!sameValue(a[index], b[index])) return false;
  }
  return true;
}

/** Does every key of `a` have an equal value in `b`? */
function coveredBy(a: object, b: object): boolean {
  for (const key in a) {
    if (!sameValue(a[key as keyof typeof a], b[key as keyof typeof b])) return false;
  }
  return true;
}

/** Is there no value in `a` that `b` lacks? The values that both have were compared already. */
function keysCovered(a: object, b: object): boolean {
  for (const key in a) {
    if (a[key as keyof typeof a] !== undefined && b[key as keyof typeof b] === undefined) {
      return false;
    }
  }
  return true;
}
