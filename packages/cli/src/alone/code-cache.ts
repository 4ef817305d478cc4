/**
 * A script beside its compiled code. Node's own cache of compiled code holds what was compiled when a module was loaded;
 * functions that ran later are compiled again in each process. This one is made after a run, with all that ran.
 */

import { Script } from "node:vm";

export interface CachedScript {
  readonly path: string;
  readonly source: string;
  /** Taken when it fits this Node, and passed over otherwise. */
  readonly cache: Uint8Array | undefined;
}

/** The script, compiled. Running it gives a function of a CommonJS module's five words. */
export function compiled({ path, source, cache }: CachedScript): Script {
  return new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename: path,
    ...(cache === undefined
      ? {}
      : { cachedData: Buffer.from(cache.buffer, cache.byteOffset, cache.length) }),
  });
}

/** What the script exports. */
export function exportsOf(
  script: Script,
  path: string,
  require: (name: string) => unknown,
): unknown {
  const module: { exports: unknown } = { exports: {} };
  script.runInThisContext()(module.exports, require, module, path, path.replace(/\/[^/]*$/, ""));
  return module.exports;
}
