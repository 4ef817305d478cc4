/**
 * Sizes as Compose reads them: `512m`, `1.5 GiB`, `1024`; all units are powers of 1024.
 */

const SIZE = /^(\d+(?:\.\d+)*) ?([kKmMgGtTpP])?[iI]?[bB]?$/;
const STEP: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };
const TEXT_LENGTH_MAX = 40;

/** Bytes; `undefined` when `text` is no size or larger than 2^53. */
export function parseByteSize(text: string): number | undefined {
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  const value = Number(match[1]) * 1024 ** (STEP[(match[2] ?? "").toLowerCase()] ?? 0);
  return Number.isSafeInteger(Math.trunc(value)) ? Math.trunc(value) : undefined;
}
