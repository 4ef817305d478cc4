/** Regular expressions of tenants: what is taken, and what is refused because it could hurt others. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { regexProblem } from "./regex-bounds.ts";

const TAKEN = [
  "/a",
  "^/v[0-9]+/users/[^/]+$",
  "/(?:a|b)?/c{2,5}",
  "\\.(png|jpe?g)$",
  "[a+*]+",
  "(a|b)?",
];

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ["", /1 to 512/],
  ["a".repeat(513), /1 to 512/],
  ["a b", /visible/],
  ["(", /can be read/],
  ["(a+)+", /choices/],
  ["(a|a)*b", /choices/],
  ["(a?){30}", /choices/],
  ["[]a]", /empty/],
  ["((a|b*)c){2,}", /choices/],
  ["(a{2,3})*", /choices/],
  ["(?=a)b", /looks around/],
  ["(?i)a", /can be read|looks around/],
  ["(a)\\1", /reference/],
  ["a*b*c*d*e*", /at most 4/],
  ["a{1,1000}", /up to 256/],
];

test("expressions with bounded work are taken", () => {
  for (const regex of TAKEN) assert.equal(regexProblem(regex), undefined, regex);
});

test("expressions that could stop everybody's requests are refused with what is wanted instead", () => {
  for (const [regex, reason] of REFUSED) assert.match(regexProblem(regex) ?? "", reason, regex);
});
