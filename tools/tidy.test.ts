/** The rules of the house, enforced; and for each rule the proof that it can fail. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readSourceTree, type SourceFile } from "./source-tree.ts";
import {
  bannedCallOffences,
  cycleOffences,
  layerOffences,
  nameOffences,
  purityOffences,
  sizeOffences,
  unfinishedOffences,
} from "./tidy.ts";

const tree = readSourceTree();

function file(path: string, text: string, imports: readonly string[] = []): SourceFile {
  return {
    path,
    text,
    lines: text.split("\n").length,
    isTest: false,
    imports: imports.map((specifier) => ({ specifier, typeOnly: false })),
    functions: [],
  };
}

const rules = [
  {
    name: "packages import only downwards",
    check: layerOffences,
    bad: [file("packages/base/src/a.ts", "", ["@berth/agent"])],
  },
  {
    name: "packages do not reach into each other's files",
    check: layerOffences,
    bad: [file("packages/agent/src/a.ts", "", ["../../base/src/clock.ts"])],
  },
  {
    name: "pure code reads no clock",
    check: purityOffences,
    bad: [file("packages/scheduler/src/a.ts", "const a = Date.now();")],
  },
  {
    name: "pure code imports no Node module",
    check: purityOffences,
    bad: [file("packages/scheduler/src/a.ts", "", ["node:fs"])],
  },
  {
    name: "no module needs itself",
    check: cycleOffences,
    bad: [file("packages/a/src/a.ts", "", ["./b.ts"]), file("packages/a/src/b.ts", "", ["./a.ts"])],
  },
  {
    name: "files and functions keep their caps",
    check: sizeOffences,
    bad: [file("packages/a/src/a.ts", "\n".repeat(501))],
  },
  {
    name: "file names are kebab-case and say what is inside",
    check: nameOffences,
    bad: [file("packages/a/src/utils.ts", "")],
  },
  {
    name: "nothing is left unfinished in silence",
    check: unfinishedOffences,
    bad: [file("packages/a/src/a.ts", "// TODO later")],
  },
  {
    name: "loops belong to the driver, errors have codes, no shells",
    check: bannedCallOffences,
    bad: [file("packages/a/src/a.ts", "setInterval(f, 5)")],
  },
] as const;

for (const { name, check, bad } of rules) {
  test(name, () => assert.deepEqual(check(tree), []));
  test(`the rule "${name}" can fail`, () => assert.notDeepEqual(check(bad), []));
}
