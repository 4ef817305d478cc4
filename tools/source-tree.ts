/** Reads the checkout's own TypeScript files and what they import, for the tidy tests. */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly isTest: boolean;
  readonly imports: readonly SourceImport[];
  readonly functions: readonly { readonly name: string; readonly lines: number }[];
}

export interface SourceImport {
  readonly specifier: string;
  /** Erased at run time: does not make a cycle. */
  readonly typeOnly: boolean;
}

const SKIPPED = new Set(["node_modules", "testdata", "dist", ".node", ".git"]);

function typescriptFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return typescriptFiles(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

function importsOf(text: string, parsed: ReturnType<typeof parseSync>): SourceImport[] {
  const { staticImports, staticExports, dynamicImports } = parsed.module;
  const fromImports = staticImports.map((item) => ({
    specifier: item.moduleRequest.value,
    typeOnly: item.entries.length > 0 && item.entries.every((entry) => entry.isType),
  }));
  const fromExports = staticExports.flatMap((item) =>
    item.entries.flatMap((entry) =>
      entry.moduleRequest === null
        ? []
        : [{ specifier: entry.moduleRequest.value, typeOnly: entry.isType }],
    ),
  );
  const fromDynamic = dynamicImports.map((item) => ({
    specifier: text.slice(item.moduleRequest.start + 1, item.moduleRequest.end - 1),
    typeOnly: true,
  }));
  return [...fromImports, ...fromExports, ...fromDynamic];
}

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

function isSyntaxNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

/** Every function with its length; a test's callback is none (a test is a list of cases). */
function functionsOf(text: string, program: unknown): { name: string; lines: number }[] {
  const found: { name: string; lines: number }[] = [];
  const visit = (node: SyntaxNode, name: string) => {
    if (FUNCTIONS.has(node.type)) {
      const id = isSyntaxNode(node["id"]) ? String(node["id"]["name"]) : name;
      found.push({ name: id, lines: text.slice(node.start, node.end).split("\n").length });
    }
    for (const [key, value] of Object.entries(node)) {
      const children = Array.isArray(value) ? value : [value];
      for (const child of children) {
        if (!isSyntaxNode(child)) continue;
        visit(child, key === "value" || key === "init" ? nameOf(node, name) : name);
      }
    }
  };
  if (isSyntaxNode(program)) visit(program, "(file)");
  return found;
}

function nameOf(node: SyntaxNode, fallback: string): string {
  const holder = isSyntaxNode(node["key"]) ? node["key"] : node["id"];
  return isSyntaxNode(holder) ? String(holder["name"] ?? fallback) : fallback;
}

function readSource(path: string): SourceFile {
  const text = readFileSync(path, "utf8");
  const parsed = parseSync(path, text);
  return {
    path: relative(ROOT, path).replaceAll("\\", "/"),
    text,
    lines: text.split("\n").length - 1,
    isTest: /\.(test|contract|e2e|bench)\.ts$|\/(e2e|bench)\//.test(path),
    imports: importsOf(text, parsed),
    functions: functionsOf(text, parsed.program),
  };
}

/** Every TypeScript file of the project. About half a second for a thousand files. */
export function readSourceTree(): SourceFile[] {
  return ["packages", "tools", "script", "e2e", "bench"]
    .map((folder) => join(ROOT, folder))
    .flatMap((folder) => {
      try {
        return typescriptFiles(folder);
      } catch {
        return [];
      }
    })
    .map(readSource);
}
