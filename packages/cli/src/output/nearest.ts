/** The known word nearest to what was typed: for "did you mean". */

/** Words further away than this are no help. */
const DISTANCE_MAX = 3;

/** The nearest of `known` by edit distance, if one is near. O(known × length²). */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  let best: { word: string; distance: number } | undefined;
  for (const word of known) {
    const distance = editDistance(typed, word);
    if (distance <= Math.min(DISTANCE_MAX, Math.ceil(word.length / 2))) {
      if (best === undefined || distance < best.distance) best = { word, distance };
    }
  }
  return best?.word;
}

/** Levenshtein's distance (Wagner and Fischer, 1974), one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
