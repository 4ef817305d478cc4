import assert from "node:assert/strict";
import { test } from "node:test";
import { sameValue } from "./same-value.ts";

const EQUAL: readonly (readonly [unknown, unknown])[] = [
  [1, 1],
  [undefined, undefined],
  [{}, {}],
  [
    { a: 1, b: [1, { c: "x" }] },
    { b: [1, { c: "x" }], a: 1 },
  ],
  [{ a: undefined }, {}],
  [{}, { a: undefined }],
  [[], []],
];

const DIFFERENT: readonly (readonly [unknown, unknown])[] = [
  [1, "1"],
  [null, {}],
  [{}, []],
  [[], {}],
  [{ a: 1 }, {}],
  [{}, { a: 1 }],
  [{ a: 0 }, {}],
  [[1], [1, 2]],
  [
    [1, 2],
    [2, 1],
  ],
  [{ a: { b: 1 } }, { a: { b: 2 } }],
];

test("plain data is compared by what is in it", () => {
  for (const [a, b] of EQUAL) assert.ok(sameValue(a, b), JSON.stringify([a, b]));
  for (const [a, b] of DIFFERENT) assert.ok(!sameValue(a, b), JSON.stringify([a, b]));
});
