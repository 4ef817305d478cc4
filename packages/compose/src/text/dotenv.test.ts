// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDotenv, parseRawEnv } from "./dotenv.ts";

const lookup = (name: string): string | undefined => ({ HOST: "h", EMPTY: "" })[name];

const CASES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["A=1\nB=2\n", { A: "1", B: "2" }],
  ["A=1", { A: "1" }],
  ["\uFEFFA=1\r\nB=2\r\n", { A: "1", B: "2" }],
  ["# c\n\n  A = x y  # comment\n", { A: "x y" }],
  ["A=x#y", { A: "x#y" }],
  ["A=", { A: "" }],
  ["export A=1", { A: "1" }],
  ["A: yaml", { A: "yaml" }],
  ["A='$HOST \\n # \"x\"'", { A: '$HOST \\n # "x"' }],
  ["A='it\\'s'", { A: "it's" }],
  ['A="$HOST\\n\\t\\"q\\" \\$HOST"', { A: 'h\n\t"q" $HOST' }],
  ['A="two\nlines"\nB=1', { A: "two\nlines", B: "1" }],
  ["A=${MISSING:-d}-$HOST-$$x", { A: "d-h-$x" }],
  ["A=1\nB=$A$A", { A: "1", B: "11" }],
  ["HOST=own\nB=$HOST", { HOST: "own", B: "h" }],
  ["HOST\nMISSING\n", { HOST: "h" }],
  ["1A=x\nB=1", { "1A": "x", B: "1" }],
  ["A.b-c[0]=1", { "A.b-c[0]": "1" }],
  ['A={"k": "v"}', { A: '{"k": "v"}' }],
  ["ÜMLAUT=ü 世界", { ÜMLAUT: "ü 世界" }],
];

for (const [text, expected] of CASES) {
  test(`${JSON.stringify(text)} reads as ${JSON.stringify(expected)}`, () => {
    const { values, problems } = parseDotenv(text, lookup);
    assert.deepEqual([Object.fromEntries(values), problems], [expected, []]);
  });
}

test("what is wrong is named with its line, and the rest is read", () => {
  const { values, problems } = parseDotenv("A=1\nB C=2\nD!=3\nE='open\nF=1\n", lookup);
  assert.deepEqual(Object.fromEntries(values), { A: "1" });
  assert.deepEqual(problems, [
    { line: 2, message: 'the name "B C" has a space' },
    { line: 3, message: 'unexpected "!" in the name of a variable' },
    { line: 4, message: "the quote ' is not closed" },
  ]);
});

test("the raw format takes lines as they are", () => {
  const text = "# c\nA='x' # y\nB=$HOST\\n\n  C= spaced \nHOST\nMISSING\nX Y=1\n";
  const { values, problems } = parseRawEnv(text, lookup);
  assert.deepEqual(Object.fromEntries(values), {
    A: "'x' # y",
    B: "$HOST\\n",
    C: " spaced ",
    HOST: "h",
  });
  assert.deepEqual(problems, [{ line: 7, message: '"X Y" is not a variable\'s name' }]);
});
