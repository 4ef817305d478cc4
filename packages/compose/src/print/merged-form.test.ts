/** What `--no-interpolate` prints; the expected texts are what docker compose 2.26 prints for the same files. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import { loadCompose } from "../load/load.ts";
import { printMerged } from "./print.ts";

const read = (name: string) => readFileSync(new URL(`./testdata/${name}`, import.meta.url), "utf8");

function printed(...names: string[]): string {
  const result = loadCompose({
    files: names.map((name) => `/p/${name}`),
    environment: { HOME: "/home/me", KIND: "of the caller" },
    interpolate: false,
    checkConsistency: false,
    readEnvFiles: false,
    fs: memoryFiles(Object.fromEntries(names.map((name) => [`/p/${name}`, read(name)]))),
  });
  assert.ok(result.ok, JSON.stringify(result.ok ? "" : result.problems));
  return printMerged(result.merged ?? new Map(), "yaml");
}

test("one file: values as they are written, short forms of some keys made long", () => {
  assert.equal(printed("merged.yaml"), read("merged.printed"));
});

test("two files: tables become lists of lines, what means the same is there once", () => {
  assert.equal(printed("merged-below.yaml", "merged-over.yaml"), read("merged-over.printed"));
});

test("the value of a variable is never printed for a secret", () => {
  const text = "services: { a: { image: x } }\nsecrets: { s: { environment: TOKEN } }\n";
  const result = loadCompose({
    files: ["/p/c.yaml"],
    environment: { TOKEN: "do not tell" },
    interpolate: false,
    fs: memoryFiles({ "/p/c.yaml": text }),
  });
  assert.ok(result.ok);
  for (const format of ["yaml", "json"] as const) {
    assert.doesNotMatch(printMerged(result.merged ?? new Map(), format), /do not tell/);
  }
});
