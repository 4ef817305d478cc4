/**
 * Bundles what users run: one entry per process, shared code in chunks, into `dist/<version>/`, and points
 * `dist/current` at it in one rename.
 *
 * The version names the content (sources and lock file), so bundling the same sources again is a look-up.
 * Everything in a bundle folder is complete before the link moves: a crash leaves the old one in place.
 */

import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { bundleAlone } from "./bundle-alone.ts";
import { lightImports } from "./light-imports.ts";
import { ROOT, readSourceTree } from "./source-tree.ts";

/** Bundles kept besides the current one: enough to go back once. */
const BUNDLES_KEPT = 2;

const DIST = join(ROOT, "dist");

const ENTRIES = {
  berth: "packages/cli/src/main.ts",
  server: "packages/cli/src/processes/server.ts",
  agent: "packages/cli/src/processes/agent.ts",
  net: "packages/cli/src/processes/net.ts",
  supervise: "packages/cli/src/processes/supervise.ts",
  "sqlite-worker": "packages/control-plane/src/store/sqlite-worker.ts",
  "dns-worker": "packages/network/src/dns/dns-worker.ts",
  "direct-thread": "packages/agent/src/runtime/direct-thread.ts",
} as const;

/** What the sources are, as a version: the package's and twelve digits of a hash over everything. */
function contentVersion(): string {
  const hash = createHash("sha256");
  for (const file of [
    "package.json",
    "package-lock.json",
    "tools/bundle.ts",
    "tools/bundle-alone.ts",
    "tools/light-imports.ts",
    "tools/warm-cache.ts",
  ]) {
    hash.update(readFileSync(join(ROOT, file)));
  }
  for (const file of readSourceTree()) {
    if (!file.isTest) hash.update(`${file.path}\0${file.text}\0`);
  }
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const version =
    typeof manifest === "object" && manifest !== null && "version" in manifest
      ? String(manifest.version)
      : "0.0.0";
  return `${version}+${hash.digest("hex").slice(0, 12)}`;
}

async function bundleInto(folder: string, version: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: ENTRIES,
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    minifySyntax: true,
    legalComments: "none",
    plugins: [lightImports()],
    define: { BERTH_BUNDLE_VERSION: JSON.stringify(version) },
    // CommonJS dependencies ask for Node's modules by `require`.
    banner: {
      js: 'const require = process.getBuiltinModule("node:module").createRequire(import.meta.url);',
    },
    logLevel: "warning",
  });
}

function pointCurrentAt(version: string): void {
  const link = join(DIST, "current");
  const fresh = join(DIST, `.current-${process.pid}`);
  rmSync(fresh, { force: true });
  symlinkSync(version, fresh);
  renameSync(fresh, link);
}

/** The newest others stay, and all that a process runs from: it loads parts late and is started again. */
function removeOldBundles(current: string): void {
  const inUse = commandLines();
  const others = readdirSync(DIST, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== current)
    .map((entry) => entry.name)
    .sort((a, b) => changedAt(b) - changedAt(a));
  for (const name of others.slice(BUNDLES_KEPT)) {
    const folder = join(DIST, name);
    if (!inUse.includes(`${folder}/`)) rmSync(folder, { recursive: true, force: true });
  }
}

function changedAt(name: string): number {
  return statSync(join(DIST, name)).mtimeMs;
}

/** Command lines of all processes; one that ends meanwhile has none. */
function commandLines(): string {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    })
    .join("\n");
}

async function main(): Promise<void> {
  const version = contentVersion();
  const folder = join(DIST, version);
  mkdirSync(DIST, { recursive: true });
  if (!existsSync(join(folder, "complete"))) {
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    await bundleInto(unfinished, version);
    await bundleAlone(unfinished, version);
    writeFileSync(join(unfinished, "complete"), `${version}\n`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
  }
  const link = join(DIST, "current");
  if (!existsSync(link) || readlinkSync(link) !== version) pointCurrentAt(version);
  removeOldBundles(version);
  console.log(version);
}

await main();
