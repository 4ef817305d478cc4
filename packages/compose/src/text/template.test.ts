// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
import assert from "node:assert/strict";
import { test } from "node:test";
import { interpolate } from "./template.ts";

const VARIABLES: Readonly<Record<string, string>> = {
  A: "a",
  EMPTY: "",
  N: "A",
  JSON: '{"k":"$v"}',
};
const lookup = (name: string): string | undefined =>
  Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined;

/** Text, result, issues as `kind@offset:variable`. */
const CASES: readonly (readonly [string, string, ...string[]])[] = [
  ["plain", "plain"],
  ["$A", "a"],
  ["${A}", "a"],
  ["x${A}y$A", "xaya"],
  ["$$A", "$A"],
  ["$$$A", "$a"],
  ["$$$$", "$$"],
  ["cost: $5, $ and $", "cost: $5, $ and $"],
  ["$A.b", "a.b"],
  ["${MISSING}", "", "unset@0:MISSING"],
  ["a $MISSING b", "a  b", "unset@2:MISSING"],
  ["${A:-d}", "a"],
  ["${A-d}", "a"],
  ["${EMPTY:-d}", "d"],
  ["${EMPTY-d}", ""],
  ["${MISSING:-d}", "d"],
  ["${MISSING-d}", "d"],
  ["${MISSING:-}", ""],
  ["${A:+alt}", "alt"],
  ["${EMPTY:+alt}", ""],
  ["${EMPTY+alt}", "alt"],
  ["${MISSING+alt}", ""],
  ["${MISSING:?must be set}", "", "required@0:MISSING"],
  ["${EMPTY:?}", "", "required@0:EMPTY"],
  ["${EMPTY?}", ""],
  ["${MISSING:-${A}}", "a"],
  ["${MISSING:-${OTHER:-${A}}}", "a"],
  ["${MISSING:-x${A}y}z", "xayz"],
  ["${MISSING:-$$A}", "$A"],
  ['${MISSING:-{"a":{"b":1}}}', '{"a":{"b":1}}'],
  ["${MISSING:-a:-b-c?d+e}", "a:-b-c?d+e"],
  ["${A:-${UNSET}}", "a"],
  ["${A:-${UNSET:?x}}", "a", "required@5:UNSET"],
  ["${MISSING:?say $A}", "", "required@0:MISSING"],
  ["$JSON", '{"k":"$v"}'],
  ["${", "", "syntax@0:"],
  ["${A", "", "syntax@0:"],
  ["${}", "", "syntax@0:"],
  ["${1}", "", "syntax@0:"],
  ["${A.b}", "", "syntax@0:A"],
  ["${A b}", "", "syntax@0:A"],
  ["${A:}", "", "syntax@0:A"],
  ["${A:b}", "", "syntax@0:A"],
  ["ok $A ${-} $A", "ok a  a", "syntax@6:"],
];

for (const [text, expected, ...issues] of CASES) {
  test(`${JSON.stringify(text)} becomes ${JSON.stringify(expected)}`, () => {
    const result = interpolate(text, lookup);
    const found = result.issues.map((one) => `${one.kind}@${one.at}:${one.variable}`);
    assert.deepEqual([result.text, ...found], [expected, ...issues]);
  });
}

test("words of a required variable are in the message", () => {
  const [issue] = interpolate("${MISSING:?say $A}", lookup).issues;
  assert.equal(issue?.detail, "say a");
});

test("nesting and growth are bounded", () => {
  const nested = `${"${X:-".repeat(30)}${"}".repeat(30)}`;
  assert.deepEqual(
    interpolate(nested, () => undefined).issues.map((one) => one.kind),
    ["limit"],
  );
  const big = "x".repeat(100_000);
  const grown = interpolate("$X".repeat(20), () => big);
  assert.deepEqual(
    grown.issues.map((one) => one.kind),
    ["limit"],
  );
});
