/**
 * The mistakes that people make most, each with everything that is said about it: testdata/mistakes/*.txt has a title
 * after `# `, the file after `| ` (further ones begin with `@ name`), what is said after `! ` (errors) and `? `
 * (warnings). `BERTH_GOLDEN=1` rewrites what is said; commit only differences that read better.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import { formatProblem } from "../problem.ts";
import { loadCompose } from "./load.ts";

const FOLDER = join(import.meta.dirname, "testdata/mistakes");
const FIRST = "compose.yaml";

interface Mistake {
  readonly title: string;
  readonly files: ReadonlyMap<string, readonly string[]>;
}

function mistakesOf(text: string): Mistake[] {
  const mistakes: Mistake[] = [];
  let files = new Map<string, string[]>();
  let name = FIRST;
  for (const line of text.split("\n")) {
    if (line.startsWith("# ")) {
      files = new Map();
      name = FIRST;
      mistakes.push({ title: line.slice(2), files });
    } else if (line.startsWith("@ ")) name = line.slice(2);
    else if (line.startsWith("|")) files.set(name, [...(files.get(name) ?? []), line.slice(2)]);
  }
  return mistakes;
}

/** Everything that is said about a mistake. */
function said({ files }: Mistake): string[] {
  const texts = [...files].map(([name, lines]) => [`/shop/${name}`, `${lines.join("\n")}\n`]);
  const result = loadCompose({
    files: [`/shop/${FIRST}`],
    environment: {},
    fs: memoryFiles(Object.fromEntries(texts)),
  });
  const line = (problem: Parameters<typeof formatProblem>[0]) =>
    formatProblem(problem).replaceAll("/shop/", "");
  const errors = result.ok ? [] : result.problems.map((problem) => `! ${line(problem)}`);
  return [...errors, ...result.warnings.map((problem) => `? ${line(problem)}`)];
}

function written(mistake: Mistake): string {
  const files = [...mistake.files].flatMap(([name, lines]) => [
    ...(name === FIRST ? [] : [`@ ${name}`]),
    ...lines.map((line) => (line === "" ? "|" : `| ${line}`)),
  ]);
  return [`# ${mistake.title}`, ...files, ...said(mistake)].join("\n");
}

for (const file of readdirSync(FOLDER)) {
  test(`mistakes in ${file}`, () => {
    const path = join(FOLDER, file);
    const before = readFileSync(path, "utf8");
    const after = `${mistakesOf(before).map(written).join("\n\n")}\n`;
    if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(path, after);
    else assert.equal(before, after);
  });
}
