/**
 * Bundles `berth config` by itself: what starts it, one script, and that script's compiled code. A line of the launcher
 * chooses it. Docs: docs/adr/0050-config-alone.md.
 */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { lightImports } from "./light-imports.ts";
import { ROOT } from "./source-tree.ts";

/** What is loaded late by lines that config-alone.ts leaves to the whole program: `needsMore` there, help and mistakes. */
const LEFT_TO_THE_WHOLE: ReadonlySet<string> = new Set([
  "./commander-words.ts",
  "./connection/connect.ts",
  "../stack/image-digests.ts",
  "./remote-files.ts",
  "node:stream/consumers",
]);

const OPTIONS: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node24",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  logLevel: "warning",
};

/** A late import that nobody listed would fail when it is reached: bundling fails instead. */
const leftOut: Plugin = {
  name: "left-out",
  setup(bundle) {
    bundle.onResolve({ filter: /./ }, ({ kind, path }) => {
      if (kind !== "dynamic-import") return undefined;
      return LEFT_TO_THE_WHOLE.has(path)
        ? { path, external: true }
        : {
            errors: [
              { text: `${path} is loaded late: config-alone.ts must leave it to the whole` },
            ],
          };
    });
    // Few stack files need it, and it is as large as all the rest.
    bundle.onResolve({ filter: /^\.\/yaml\.cjs$/ }, ({ path }) => ({ path, external: true }));
  },
};

/** Writes the files into a bundle's folder. */
export async function bundleAlone(folder: string, version: string): Promise<void> {
  const define = { BERTH_BUNDLE_VERSION: JSON.stringify(version) };
  const alone = join(folder, "config-alone.js");
  await build({
    ...OPTIONS,
    entryPoints: ["packages/cli/src/alone/config-alone.ts"],
    outfile: alone,
    plugins: [leftOut, lightImports({ yaml: "./yaml.cjs" })],
    define,
  });
  await build({ ...OPTIONS, entryPoints: ["yaml"], outfile: join(folder, "yaml.cjs") });
  await build({
    ...OPTIONS,
    entryPoints: ["packages/cli/src/alone/start-config.ts"],
    outfile: join(folder, "config.cjs"),
    external: ["./berth.mjs"],
    plugins: [lightImports()],
  });
  execFileSync(process.execPath, [join(ROOT, "tools/warm-cache.ts"), alone], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}
