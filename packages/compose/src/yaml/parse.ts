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
import { type ReadText, recover } from "./recover.ts";

/** The package needs about 2 s for this much in the worst case seen. */
const PACKAGE_CHARS_MAX = 1024 * 1024;

/** Parses `source`; what is wrong goes to `problems`. */
export function parseYaml(source: Source, problems: Problems): readonly Tree[] {
  const { trees, mistake } = readText(source, problems);
  return mistake === undefined ? trees : recover(source, mistake, problems, readText);
}

function readText(source: Source, problems: Problems): ReadText {
  const fast = parseFast(source, problems);
  if (fast.tree !== undefined) return { trees: [fast.tree] };
  if (fast.reason === LOOSE_TEXT) {
    const loose = parseFast(source, problems, { looseQuotes: true });
    if (loose.tree !== undefined) return { trees: [loose.tree] };
  }
  if (source.text.length <= PACKAGE_CHARS_MAX) return parseWithPackage(source, problems);
  const mistake = {
    offset: fast.offset,
    message: `is not YAML here, as far as can be told: ${fast.reason}`,
    expected: "simple block or flow style; files over 1 MB are read by a simpler reader",
  };
  return { trees: [], mistake };
}
