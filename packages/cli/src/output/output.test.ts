/** Columns, colours, and the nearest word. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestWord } from "@berth/base";
import { paintFor, table, widthOf } from "./output.ts";

test("Chinese text takes two columns a character, colours none", () => {
  assert.equal(widthOf("服务web"), 7);
  const paint = paintFor(true, {});
  assert.equal(widthOf(paint("red", "ab")), 2);
  assert.deepEqual(
    table(
      ["NAME", "STATE"],
      [
        ["服务", paint("green", "ready")],
        ["a", "x"],
        ["longer-名", ""],
      ],
    ),
    ["NAME       STATE", `服务       ${paint("green", "ready")}`, "a          x", "longer-名"],
  );
});

test("colours are for terminals that want them", () => {
  assert.equal(paintFor(true, {})("red", "x"), "\u001b[31mx\u001b[39m");
  for (const [interactive, environment] of [
    [false, {}],
    [true, { NO_COLOR: "1" }],
    [true, { TERM: "dumb" }],
  ] as const) {
    assert.equal(paintFor(interactive, environment)("red", "x"), "x");
  }
});

test("the nearest word is near, or there is none", () => {
  const known = ["deploy", "stack ls", "ps"];
  assert.equal(nearestWord("deplyo", known), "deploy");
  assert.equal(nearestWord("stak ls", known), "stack ls");
  assert.equal(nearestWord("frobnicate", known), undefined);
  assert.equal(nearestWord("", []), undefined);
});
