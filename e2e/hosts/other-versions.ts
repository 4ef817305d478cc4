/**
 * Bundles of other versions than this checkout's: the last commit before the protocol or the formats changed, from
 * the history where the clone has it, and a version to come, made from these sources with both numbers raised by one.
 */

import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ROOT } from "../test-platform.ts";

/** What says which messages and formats a version knows. */
const NUMBERS = "packages/protocol/src";
const NUMBER_FILES = [`${NUMBERS}/protocol-version.ts`, `${NUMBERS}/format-level.ts`];

function git(...words: string[]): string {
  const argv = ["-c", `safe.directory=${ROOT}`, ...words];
  const options = { cwd: ROOT, maxBuffer: 2 ** 28 };
  return execFileSync("git", argv, { ...options, stdio: ["ignore", "pipe", "pipe"] })
    .toString()
    .trim();
}

/** The commit, or nothing where there is none: no history, or one that is cut off. */
function commitOf(revision: string): string | undefined {
  try {
    return git("rev-parse", "--verify", "--quiet", `${revision}^{commit}`);
  } catch {
    return undefined;
  }
}

/**
 * The commit before the newest change of the numbers; the previous one where the history ends before that.
 * `undefined` only where no earlier commit is there at all.
 */
export function previousCommit(): string | undefined {
  if (commitOf("HEAD") === undefined) return undefined;
  const changed = git("log", "-1", "--format=%H", "--", ...NUMBER_FILES);
  return commitOf(`${changed}^`) ?? commitOf("HEAD~1");
}

/** A checkout of `commit` with its bundle below `folder`. Answers its root. */
export function bundleOf(commit: string, folder: string): string {
  const root = join(folder, `commit-${commit.slice(0, 12)}`);
  mkdirSync(root, { recursive: true });
  const archive = join(folder, `${commit}.tar`);
  git("archive", "--format=tar", "-o", archive, commit);
  execFileSync("tar", ["-xf", archive, "-C", root]);
  return bundled(root);
}

/** These sources as the next version: its protocol and formats are one further. */
export function nextVersion(folder: string): string {
  const root = join(folder, "next");
  mkdirSync(root, { recursive: true });
  const left = new Set(["node_modules", "dist", ".git", ".node"]);
  for (const name of readdirSync(ROOT)) {
    if (left.has(name)) continue;
    const filter = (source: string) => !source.endsWith("/node_modules");
    cpSync(join(ROOT, name), join(root, name), { recursive: true, filter });
  }
  for (const file of NUMBER_FILES) {
    const path = join(root, file);
    const text = readFileSync(path, "utf8");
    const raised = text.replace(
      /(export const (?:PROTOCOL_VERSION|FORMAT_LEVEL) = )(\d+);/,
      (_all, words: string, number: string) => `${words}${Number(number) + 1};`,
    );
    if (raised === text) throw new Error(`${file} has no number to raise`);
    writeFileSync(path, raised);
  }
  return bundled(root);
}

/** With the packages that are installed here; our own are the tree's. */
function bundled(root: string): string {
  const modules = join(root, "node_modules");
  mkdirSync(join(modules, "@berth"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (name !== "@berth") symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
  for (const name of readdirSync(join(root, "packages"))) {
    symlinkSync(join(root, "packages", name), join(modules, "@berth", name));
  }
  if (existsSync(join(ROOT, ".node"))) symlinkSync(join(ROOT, ".node"), join(root, ".node"));
  execFileSync(process.execPath, ["tools/bundle.ts"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return root;
}
