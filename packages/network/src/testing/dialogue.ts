/**
 * Dialogue tests: files of commands, each with everything that is said back.
 *
 *     command words          the command; lines below it are its body
 *     ----
 *     what is said           up to the next blank line
 *
 * `BERTH_GOLDEN=1` rewrites what is said; commit only differences that you can explain.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** Says something back; a thrown SyntaxError is a mistake in the file. */
export type Respond = (command: readonly string[], body: string) => string;

/** One test per file of `folder` (a URL); `begin` makes the state that a file starts with. */
export function dialogueTests(folder: URL, begin: () => Respond): void {
  const path = fileURLToPath(folder);
  for (const file of readdirSync(path).filter((name) => name.endsWith(".txt"))) {
    test(`dialogue ${file}`, () => {
      const before = readFileSync(`${path}/${file}`, "utf8");
      const after = replay(before, begin());
      if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(`${path}/${file}`, after);
      else assert.equal(after, before);
    });
  }
}

function replay(text: string, respond: Respond): string {
  const blocks = text.trimEnd().split(/\n\n+/);
  const said = blocks.map((block) => {
    const lines = block.split("\n");
    const start = lines.findIndex((line) => !line.startsWith("#"));
    if (start < 0) return block;
    const divider = lines.indexOf("----");
    const asked = divider < 0 ? lines : lines.slice(0, divider);
    const [command = "", ...body] = asked.slice(start);
    const answer = respond(command.split(/\s+/), body.join("\n")).trimEnd();
    return [...asked, "----", ...(answer === "" ? [] : [answer])].join("\n");
  });
  return `${said.join("\n\n")}\n`;
}

/** Compares with a file of its own, for long texts; `BERTH_GOLDEN=1` writes it. */
export function assertGolden(file: URL, text: string): void {
  const path = fileURLToPath(file);
  if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(path, text);
  else assert.equal(text, readFileSync(path, "utf8"));
}
