/**
 * Makes the compiled code of a script that is run alone: runs it on a stack as people write them, in a process of its
 * own, and keeps what was compiled. `node tools/warm-cache.ts SCRIPT`
 */

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { compiled, exportsOf } from "../packages/cli/src/alone/code-cache.ts";

const STACK = join(import.meta.dirname, "../examples/shop/compose.yaml");

const [, , path = ""] = process.argv;
const script = compiled({ path, source: readFileSync(path, "utf8"), cache: undefined });
const { main } = exportsOf(script, path, createRequire(path)) as {
  readonly main: (rest: readonly string[]) => Promise<number> | undefined;
};
for (const format of ["yaml", "json"]) {
  const code = await main(["-f", STACK, "--format", format]);
  if (code !== 0) throw new Error(`${path} cannot read ${STACK}`);
}
writeFileSync(`${path}.cache`, script.createCachedData());
