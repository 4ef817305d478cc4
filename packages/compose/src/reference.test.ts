import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { referencePage, stackSchema } from "./reference.ts";
import { SERVICE_KEYS } from "./spec/service-codec.ts";
import { SUPPORT } from "./support.ts";

const folder = new URL("../../../docs/reference/", import.meta.url);
const rewrite = "run: node packages/compose/tools/write-reference.ts";

test("the reference page is what the code gives", () => {
  assert.equal(readFileSync(new URL("compose.md", folder), "utf8"), referencePage(), rewrite);
});

test("the JSON Schema is what the code gives", () => {
  const written: unknown = JSON.parse(readFileSync(new URL("compose.schema.json", folder), "utf8"));
  assert.deepEqual(written, JSON.parse(JSON.stringify(stackSchema())), rewrite);
});

test("the support table names keys that exist, once", () => {
  const keys = new Set(["version", ...SERVICE_KEYS]);
  for (const { pattern } of SUPPORT) {
    const [top, , key] = pattern.split(".");
    if (top === "services") assert.ok(key !== undefined && keys.has(key), pattern);
  }
  assert.equal(new Set(SUPPORT.map((entry) => entry.pattern)).size, SUPPORT.length);
});

test("every key of the specification's services is known", () => {
  assert.equal([...SERVICE_KEYS].filter((key) => !key.startsWith("x-")).length, 92);
});
