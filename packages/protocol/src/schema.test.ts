/** Schemas as parsers: what is refused, with which place and words. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { parameterSchemas } from "./api/parameters.ts";
import type { RouteDescription } from "./api/route.ts";
import { routes } from "./api/routes.ts";
import { ProtocolError } from "./errors.ts";
import { parseAs, problemsOf } from "./schema.ts";

const Thing = Type.Object(
  {
    name: Type.String({ pattern: "^[a-z]+$" }),
    count: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);

test("a value that fits is itself", () => {
  const value = { name: "a", count: 1 };
  assert.equal(parseAs(Thing, value, "the thing"), value);
});

test("every problem has its place, a stranger is named once", () => {
  const problems = problemsOf(Thing, { name: "A", count: 0, more: 1 });
  assert.deepEqual(problems.map(({ pointer }) => pointer).sort(), ["/count", "/more", "/name"]);
  const stranger = problems.find(({ pointer }) => pointer === "/more");
  assert.equal(stranger?.message, "is not a known field");
});

test("a refusal says what, where and why, with all problems in its details", () => {
  assert.throws(
    () => parseAs(Thing, { name: 3 }, "the thing"),
    (error) =>
      error instanceof ProtocolError &&
      error.code === "invalid_request" &&
      /^the thing is not valid: \/name /.test(error.message) &&
      Array.isArray(error.details["problems"]),
  );
});

test("a message with thousands of problems lists some", () => {
  const List = Type.Array(Type.Integer());
  const problems = problemsOf(
    List,
    Array.from({ length: 5_000 }, () => "x"),
  );
  assert.ok(problems.length > 0 && problems.length <= 20);
});

test("every parameter of every path has a pattern, and none lets a path climb", () => {
  for (const route of Object.values<RouteDescription>(routes)) {
    for (const [, name = ""] of route.path.matchAll(/\{(\w+)\}/g)) {
      const schema = parameterSchemas[name];
      assert.ok(schema, name);
      for (const bad of [
        "",
        ".",
        "..",
        "a/b",
        "../x",
        "a\0b",
        "%2e",
        "a b",
        "-",
        "x".repeat(300),
      ]) {
        assert.notDeepEqual(problemsOf(schema, bad), [], `${name}: ${JSON.stringify(bad)}`);
      }
    }
  }
});
