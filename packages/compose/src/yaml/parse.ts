/**
 * From a file's text to trees, one for each YAML document in it.
 *
 * Our own reader takes what stack files are made of in one linear pass; what it does not know (several documents,
 * explicit keys, text that is not YAML ...) goes to the `yaml` package, whose grammar is whole and whose messages
 * are good. Large files are never handed over: the package's time is not linear, and the own reader's
 * place is named instead.
 */

import type { Problems } from "../problem.ts";
import type { Source, Tree } from "../tree/tree.ts";
import { parseFast } from "./fast-parser.ts";
import { LOOSE_TEXT } from "./flow-scalars.ts";
import { parseWithPackage } from "./package-parser.ts";

/** The package needs about 2 s for this much in the worst case seen. */
const PACKAGE_CHARS_MAX = 1024 * 1024;

/** Parses `source`; what is wrong goes to `problems`. */
export function parseYaml(source: Source, problems: Problems): readonly Tree[] {
  const fast = parseFast(source, problems);
  if (fast.tree !== undefined) return [fast.tree];
  if (fast.reason === LOOSE_TEXT) {
    const loose = parseFast(source, problems, { looseQuotes: true });
    if (loose.tree !== undefined) return [loose.tree];
  }
  if (source.text.length <= PACKAGE_CHARS_MAX) return parseWithPackage(source, problems);
  problems.error(
    { source, offset: fast.offset },
    "",
    `is not YAML here, as far as can be told: ${fast.reason}`,
    {
      expected: "simple block or flow style; files over 1 MB are read by a simpler reader",
    },
  );
  return [];
}
