/**
 * Every file of `testdata/` says what the scheduler says. `BERTH_GOLDEN=1 node --test` on this file writes
 * the present answers into them; look at the difference before committing it.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { rewriteDialogue } from "./testing/dialogue.ts";

const FOLDER = new URL("../testdata/", import.meta.url);
const names = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

test("there are dialogues", () => assert.ok(names.length > 20));

for (const name of names.sort()) {
  test(`dialogue ${name}`, () => {
    const file = new URL(name, FOLDER);
    const text = readFileSync(file, "utf8");
    const now = rewriteDialogue(text);
    if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(file, now);
    else assert.equal(now, text);
  });
}
