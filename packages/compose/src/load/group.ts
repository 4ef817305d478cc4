/**
 * A group of files that lie over each other (`-f a -f b`, or the paths of one include) as one tree.
 */

import { mergeFiles } from "../tree/merge.ts";
import type { MapTree, Tree } from "../tree/tree.ts";
import { type FileContext, parseFile, withVariables } from "./documents.ts";
import { applyExtends } from "./extends.ts";
import { applyInclude, type GroupLoader } from "./include.ts";
import { EMPTY_MAP } from "./merge-documents.ts";
import type { Session } from "./session.ts";

/** The documents of one file with the place that they are read in. */
export interface ParsedFile {
  readonly context: FileContext;
  readonly documents: readonly MapTree[];
}

/**
 * Variables, extends, include and merge of files that were parsed. `onMerged` sees what lies below each further
 * document: a value that a later file replaces must be right all the same.
 */
export function mergeGroup(
  session: Session,
  files: readonly ParsedFile[],
  chain: readonly string[],
  onMerged: (tree: Tree) => void = () => {},
): MapTree {
  let model: Tree = EMPTY_MAP;
  let last: Tree | undefined;
  for (const { context, documents } of files) {
    for (const parsed of documents) {
      if (last !== undefined) onMerged(last);
      const document = withVariables(session, context, parsed);
      const extended = applyExtends(session, context, document);
      const load = groupLoader(session);
      const whole = applyInclude(session, context, extended, {
        load,
        chain: [...chain, context.file],
      });
      model = mergeFiles(model, whole, session.problems);
      last = model;
    }
  }
  return model.kind === "map" ? model : EMPTY_MAP;
}

function groupLoader(session: Session): GroupLoader {
  return (files, place, chain) => {
    const parsed = files.map(({ file, asked, path }) => {
      const context = { file, ...place, isReferenced: true };
      return { context, documents: parseFile(session, context, asked, path) };
    });
    return mergeGroup(session, parsed, chain.slice(0, -1));
  };
}
