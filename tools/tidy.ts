/**
 * Each rule of the house as a function from the source tree to a list of offences. Pure, so that
 * `tidy.test.ts` can show for each rule that it catches what it is meant to catch.
 */

import { posix } from "node:path";
import {
  BANNED_FILE_NAMES,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  IMPURE_WORDS,
  LAYERS,
  LONG_FILES,
  LONG_FUNCTIONS,
  PURE_EXCEPTIONS,
  PURE_MODULES,
  PURE_PATHS,
  TEST_LINES_MAX,
} from "./layers.ts";
import type { SourceFile } from "./source-tree.ts";

function packageOf(path: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(path)?.[1];
}

/** Imports against the direction of the layers, and reaches into another package's files by path. */
export function layerOffences(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const own = packageOf(file.path);
    if (own === undefined) return [];
    const allowed = LAYERS[own];
    if (allowed === undefined) return [`${file.path}: package ${own} is not in tools/layers.ts`];
    return file.imports.flatMap(({ specifier }) => {
      const other = /^@berth\/([^/]+)/.exec(specifier)?.[1];
      if (other !== undefined && other !== own && !allowed.includes(other)) {
        return [`${file.path}: ${own} may not import ${other}`];
      }
      if (!specifier.startsWith(".")) return [];
      const target = posix.join(posix.dirname(file.path), specifier);
      const reaches = packageOf(target) !== own;
      return reaches ? [`${file.path}: reaches out of its package: ${specifier}`] : [];
    });
  });
}

/** Clock, chance, timers, Node modules in code that is to be pure. Tests may use what they like. */
export function purityOffences(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => !file.isTest && PURE_PATHS.some((path) => isUnder(file.path, path)))
    .filter((file) => !(file.path in PURE_EXCEPTIONS))
    .flatMap((file) => {
      const modules = file.imports
        .filter(({ specifier }) => specifier.startsWith("node:"))
        .filter(({ specifier }) => !PURE_MODULES.includes(specifier))
        .map(({ specifier }) => `${file.path}: pure code imports ${specifier}`);
      const code = withoutComments(file.text);
      const words = IMPURE_WORDS.filter(({ word }) => word.test(code)).map(
        ({ word, instead }) => `${file.path}: ${word.source}; use ${instead}`,
      );
      return [...modules, ...words];
    });
}

function isUnder(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

/** Modules that need each other at run time. Each cycle once, drawn as a path. */
export function cycleOffences(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const state = new Map<string, "open" | "done">();
  const offences: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      offences.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      return;
    }
    state.set(path, "open");
    for (const { specifier, typeOnly } of byPath.get(path)?.imports ?? []) {
      if (typeOnly || !specifier.startsWith(".")) continue;
      visit(posix.join(posix.dirname(path), specifier), [...trail, path]);
    }
    state.set(path, "done");
  };
  for (const file of files) visit(file.path, []);
  return offences;
}

/** Files and functions over their caps; exceptions that are no longer needed. */
export function sizeOffences(files: readonly SourceFile[]): string[] {
  const longFiles = files.filter((file) => file.lines > linesMax(file));
  const unlisted = longFiles
    .filter((file) => !(file.path in LONG_FILES))
    .map((file) => `${file.path}: ${file.lines} lines, at most ${linesMax(file)}`);
  const stale = Object.keys(LONG_FILES)
    .filter((path) => !longFiles.some((file) => file.path === path))
    .filter((path) => files.some((file) => file.path === path && file.lines <= FILE_LINES_MAX / 2))
    .map((path) => `tools/layers.ts: ${path} needs no exception any more`);
  const functions = files
    .filter((file) => !file.isTest)
    .flatMap((file) =>
      file.functions
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .filter(({ name }) => !(`${file.path}#${name}` in LONG_FUNCTIONS))
        .map(
          ({ name, lines }) =>
            `${file.path}#${name}: ${lines} lines, at most ${FUNCTION_LINES_MAX}`,
        ),
    );
  return [...unlisted, ...stale, ...functions];
}

function linesMax(file: SourceFile): number {
  return file.isTest ? TEST_LINES_MAX : FILE_LINES_MAX;
}

const FILE_NAME =
  /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|prop\.test|contract|contract\.test|e2e|bench|d))*\.ts$/;

/** Names that say nothing, or are not `kebab-case.ts`. */
export function nameOffences(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path }) => {
    const name = posix.basename(path);
    const stem = name.split(".")[0] ?? "";
    if (BANNED_FILE_NAMES.includes(stem)) return [`${path}: says nothing about what is inside`];
    return FILE_NAME.test(name) ? [] : [`${path}: is not kebab-case`];
  });
}

const UNFINISHED = /\b(TODO|FIXME|XXX|HACK)\b(?!.*(ADR|#\d))/;

/** Reminders without an issue, and skipped or exclusive tests. */
export function unfinishedOffences(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => !file.path.startsWith("tools/tidy"))
    .flatMap((file) =>
      file.text.split("\n").flatMap((line, index) => {
        const place = `${file.path}:${index + 1}`;
        if (UNFINISHED.test(line)) return [`${place}: a reminder without an issue`];
        if (/\b(test|it|describe)\.(skip|only|todo)\(/.test(line)) return [`${place}: skips tests`];
        return [];
      }),
    );
}

/** Loops belong to the one driver, shells to argv arrays. */
export function bannedCallOffences(files: readonly SourceFile[]): string[] {
  const banned = [
    { word: /\bsetInterval\(/, why: "loops belong to the Driver" },
    { word: /from "node:child_process"[\s\S]*\bexec(Sync)?\(["'`]/, why: "no shell strings" },
    { word: /\bshell: true/, why: "no shell strings" },
    { word: /\bthrow new Error\(/, why: "throw a ProtocolError with a code, or assert" },
  ];
  return files
    .filter((file) => !file.isTest && file.path.startsWith("packages/"))
    .flatMap((file) => {
      const code = withoutComments(file.text);
      return banned
        .filter(({ word }) => word.test(code))
        .map(({ word, why }) => `${file.path}: ${word.source}: ${why}`);
    });
}
