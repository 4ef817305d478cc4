/** The OpenAPI document: complete, consistent in itself, and as it was when it was last looked at. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { RouteDescription } from "./api/route.ts";
import { routes } from "./api/routes.ts";
import { ERRORS } from "./errors.ts";
import { openApiDocument } from "./openapi.ts";

const document = openApiDocument("0.1.0");
const text = JSON.stringify(document);

test("every route is an operation with its summary, access, parameters and answers", () => {
  for (const [id, route] of Object.entries<RouteDescription>(routes)) {
    const operation = Object(document.paths[route.path]?.[route.method.toLowerCase()]);
    assert.equal(operation.operationId, id);
    assert.equal(operation.summary, route.summary);
    assert.equal(operation["x-berth-access"], route.access);
    const names = operation.parameters
      .filter((parameter: { in: string }) => parameter.in === "path")
      .map((parameter: { name: string }) => `{${parameter.name}}`);
    assert.deepEqual(names, route.path.match(/\{\w+\}/g) ?? [], id);
    for (const code of route.errors) {
      const { description } = operation.responses[String(ERRORS[code].status)];
      assert.ok(description.includes(`\`${code}\``), `${id} ${code}`);
    }
  }
});

test("every reference leads to a component", () => {
  const schemas = Object(document.components).schemas;
  const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
  assert.ok(references.length > 100);
  for (const [, name = ""] of references) assert.ok(Object.hasOwn(schemas, name), name);
});

test("no two operations share an identifier, and all is plain JSON", () => {
  const ids = [...text.matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, Object.keys(routes).length);
  assert.deepEqual(JSON.parse(text), document);
  assert.ok(!text.includes("~kind"));
});

test("the document is the one that was last looked at", () => {
  const path = new URL("./testdata/openapi.json", import.meta.url);
  const now = `${JSON.stringify(document, null, 1)}\n`;
  if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(path, now);
  assert.equal(readFileSync(path, "utf8"), now, "see the change, then npm run golden");
});
