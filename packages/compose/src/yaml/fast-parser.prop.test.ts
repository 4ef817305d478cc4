import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { Problems } from "../problem.ts";
import { isNull, type Tree } from "../tree/tree.ts";
import { parseFast } from "./fast-parser.ts";
import { parseWithPackage } from "./package-parser.ts";

/** A tree as plain data, places included. */
function shape(tree: Tree): unknown {
  const { kind, offset, mark } = tree;
  if (tree.kind === "scalar") {
    // Where nothing stands is a matter of taste.
    const place = tree.type === "null" ? undefined : offset;
    return { kind, offset: place, mark, type: tree.type, text: tree.text };
  }
  if (tree.kind === "seq") return { kind, offset, mark, items: tree.items.map(shape) };
  const entries = [...tree.entries].map(([key, entry]) => [
    key,
    entry.key.offset,
    shape(entry.value),
  ]);
  return { kind, offset, mark, entries };
}

/** What the fast reader reads must be what the package reads; giving up is always allowed. */
function compare(text: string): boolean {
  // The package follows the grammar, which has no lone dash in a flow collection; the reference has.
  if (/-[,\]}]/.test(text)) return false;
  const source = { file: "/f", text, baseDirectory: "/" };
  const ours = new Problems();
  const fast = parseFast(source, ours);
  if (fast.tree === undefined) return false;
  const theirs = new Problems();
  const {
    trees: [tree, ...more],
  } = parseWithPackage(source, theirs);
  const context = JSON.stringify(text);
  assert.equal(more.length, 0, `more than one document in ${context}`);
  if (tree === undefined) assert.ok(isNull(fast.tree), context);
  else assert.deepEqual(shape(fast.tree), shape(tree), context);
  const places = (problems: Problems) =>
    problems.errors.map((one) => [one.line, one.column, one.message]);
  assert.deepEqual(places(ours), places(theirs), context);
  return true;
}

const word = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "key",
    "web",
    "x y",
    "yes",
    "null",
    "1",
    "0x1f",
    "1.5",
    "-",
    "?",
    ":",
    "# c",
    "a: b",
  ),
  fc.constantFrom(
    "a #b",
    "'q'",
    '"q"',
    "*a",
    "&a",
    "!t",
    "|",
    ">",
    "@x",
    "%y",
    "`z",
    "{",
    "[",
    "line\nline",
    "\n x\n\n",
  ),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 6 }),
  fc
    .array(fc.constantFrom("a", " ", "\n", "\t", "#", ":", "-"), { maxLength: 12 })
    .map((chars) => chars.join("")),
);
const leaf = fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null), fc.double());
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(word, tie("value"), { maxKeys: 4 }),
  ),
}));

const style = fc.record({
  indent: fc.integer({ min: 1, max: 4 }),
  indentSeq: fc.boolean(),
  lineWidth: fc.constantFrom(0, 20, 40, 80),
  defaultStringType: fc.constantFrom(
    "PLAIN",
    "QUOTE_DOUBLE",
    "QUOTE_SINGLE",
    "BLOCK_LITERAL",
    "BLOCK_FOLDED",
  ),
  collectionStyle: fc.constantFrom("any", "block", "flow"),
  flowCollectionPadding: fc.boolean(),
} as const);

const settings = {
  seed: Number(process.env["SEED"] ?? 20261120),
  numRuns: Number(process.env["RUNS"] ?? 1500),
};

test("the fast reader reads what the yaml package writes as the package reads it", () => {
  let read = 0;
  fc.assert(
    fc.property(value, style, (data, options) => {
      if (compare(stringify(data, options))) read++;
    }),
    settings,
  );
  assert.ok(read > settings.numRuns / 3, `only ${read} texts were read at all`);
});

const edit = fc.record({
  at: fc.nat(400),
  remove: fc.nat(3),
  insert: fc.constantFrom(
    "",
    " ",
    "\n",
    "  ",
    ":",
    "- ",
    "#",
    '"',
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "!x ",
    "|",
    ">-\n",
    "\t",
    "---\n",
    "<<: ",
    "? ",
    "%",
  ),
});

test("a text that somebody spoiled is read as the package reads it, or not at all", () => {
  fc.assert(
    fc.property(
      value,
      style,
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      (data, options, edits) => {
        let text = stringify(data, options);
        for (const { at, remove, insert } of edits) {
          const place = at % (text.length + 1);
          text = text.slice(0, place) + insert + text.slice(place + remove);
        }
        compare(text);
      },
    ),
    settings,
  );
});

test("any text of YAML's signs is read as the package reads it, or not at all", () => {
  const sign = fc.constantFrom(
    ..."ab1 \n\n  :-#'\"[]{},&*!|>?%@\\\t~<".split(""),
    ": ",
    "- ",
    "\n  ",
    " #",
    "key: ",
  );
  fc.assert(
    fc.property(fc.array(sign, { maxLength: 30 }), (signs) => {
      compare(signs.join(""));
    }),
    { ...settings, numRuns: settings.numRuns * 2 },
  );
});
