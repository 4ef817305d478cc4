/**
 * "Did you mean": the nearest valid word to the one that was written.
 *
 * Cost O(words × length²) on short words only; long input is not compared at all.
 */

/** Longer words are not typing mistakes of a key. */
const WORD_LENGTH_MAX = 40;

/** The word of `words` that `written` most likely stands for; `undefined` when none is near. */
export function nearestWord(written: string, words: Iterable<string>): string | undefined {
  if (written.length > WORD_LENGTH_MAX) return undefined;
  const wanted = plain(written);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const word of words) {
    // The beginning of a word is nearer than any misspelling.
    if (best === undefined && wanted.length >= 3 && word.startsWith(wanted)) best = word;
    // So is a word of it: `healthy` is `service_healthy`.
    if (best === undefined && wanted.length >= 5 && word.endsWith(`_${wanted}`)) best = word;
    if (Math.abs(word.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, plain(word));
    if (distance < bestDistance) {
      best = word;
      bestDistance = distance;
    }
  }
  return best;
}

/** Lower case with underscores, whatever the custom: `dependsOn` and `depends-on` are `depends_on`. */
function plain(word: string): string {
  return word
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .replaceAll("-", "_");
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1];
      let distance = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]) {
        distance = Math.min(distance, (beforeLast[column - 2] ?? 0) + 1);
      }
      current.push(distance);
    }
    beforeLast = last;
    last = current;
  }
  return last[right.length] ?? 0;
}
