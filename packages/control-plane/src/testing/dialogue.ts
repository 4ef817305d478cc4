/**
 * Dialogue tests: files of commands, each block with everything that is said back.
 *
 *     # what this is about
 *     command words          any number of lines
 *     ----
 *     what is said           up to the next blank line
 *
 * `BERTH_GOLDEN=1` rewrites what is said; commit only differences that you can explain.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** Says something back to one command; a thrown SyntaxError is a mistake in the file. */
export type Respond = (words: readonly string[]) => readonly string[];

/** One test for each file of `folder` (a URL); `begin` makes the state that a file starts with. */
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
    const divider = lines.indexOf("----");
    const asked = divider < 0 ? lines : lines.slice(0, divider);
    const commands = asked.filter((line) => !line.startsWith("#"));
    if (commands.length === 0) return block;
    const answers = commands.flatMap((line) => respond(line.trim().split(/\s+/)));
    return [...asked, "----", ...answers].join("\n");
  });
  return `${said.join("\n\n")}\n`;
}
