/**
 * Bundles of other versions than this checkout's: the last commit with other numbers of the protocol or the formats,
 * from the history where the clone has it, and a version to come, made from these sources with both numbers raised by one.
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
const NUMBER = /(export const (?:PROTOCOL_VERSION|FORMAT_LEVEL) = )(\d+);/;
/** A commit whose bundle cannot be made is no version that anybody runs. */
const COMMITS_MAX = 20;
/** As the scripts install (script/lib/node.sh). */
const INSTALL = ["install", "--no-save", "--no-fund", "--no-audit", "--loglevel=error"] as const;
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

/** Protocol and formats of a commit, as its files say them; empty where there is neither commit nor file. */
function numbersAt(revision: string): string {
  const found = NUMBER_FILES.map((file) => {
    try {
      return NUMBER.exec(git("show", `${revision}:${file}`))?.[2] ?? "";
    } catch {
      return "";
    }
  });
  return found.join(" ");
}

export interface OlderVersion {
  readonly commit: string;
  /** A checkout of it with its bundle. */
  readonly root: string;
}

/**
 * The newest version with other numbers of which a bundle can be made, below `folder`; `undefined` where the history
 * has none, be it that the clone's is cut off. Throws where none of `COMMITS_MAX` can be bundled.
 */
export function olderVersion(folder: string): OlderVersion | undefined {
  if (commitOf("HEAD") === undefined) return undefined;
  const changes = git("log", "--first-parent", "--format=%H", "--", ...NUMBER_FILES).split("\n");
  const changed = changes.find((each) => numbersAt(`${each}^`) !== numbersAt("HEAD"));
  const first = changed === undefined ? undefined : commitOf(`${changed}^`);
  if (first === undefined) return undefined;
  const commits = git("rev-list", "--first-parent", `--max-count=${COMMITS_MAX}`, first).split(
    "\n",
  );
  const failures: string[] = [];
  for (const commit of commits) {
    try {
      return { commit, root: bundleOf(commit, folder) };
    } catch (error) {
      failures.push(`${commit}: ${String(error)}`);
    }
  }
  throw new Error(`no older version can be bundled:\n${failures.join("\n")}`);
}

function bundleOf(commit: string, folder: string): string {
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
      NUMBER,
      (_all, words: string, number: string) => `${words}${Number(number) + 1};`,
    );
    if (raised === text) throw new Error(`${file} has no number to raise`);
    writeFileSync(path, raised);
  }
  return bundled(root);
}

/** With the packages of its lock file: those that are installed here where they are the same. */
function bundled(root: string): string {
  const lock = "package-lock.json";
  if (readFileSync(join(root, lock)).equals(readFileSync(join(ROOT, lock)))) linkModules(root);
  else run("npm", [...INSTALL, "--prefer-offline"], root);
  if (existsSync(join(ROOT, ".node"))) symlinkSync(join(ROOT, ".node"), join(root, ".node"));
  run(process.execPath, ["tools/bundle.ts"], root);
  return root;
}

/** Packages of others are those that are installed here; our own are the tree's. */
function linkModules(root: string): void {
  const modules = join(root, "node_modules");
  mkdirSync(join(modules, "@berth"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (name !== "@berth") symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
  for (const name of readdirSync(join(root, "packages"))) {
    symlinkSync(join(root, "packages", name), join(modules, "@berth", name));
  }
}

/** What it says is part of the error. */
function run(file: string, words: readonly string[], cwd: string): void {
  execFileSync(file, words, { cwd, stdio: ["ignore", "ignore", "pipe"] });
}
