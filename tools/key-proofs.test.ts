/**
 * No key of the stack file is called honoured without a check that finds it in force, and no check is claimed
 * that is not there: the support table, the schema and the proofs are held together.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { KEY_STACKS, PROOFS_ELSEWHERE } from "../e2e/keys/proofs.ts";
import { stackSchema } from "../packages/compose/src/reference.ts";
import { SUPPORT } from "../packages/compose/src/support.ts";
import { ROOT } from "./source-tree.ts";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
}

/** Keys of ours, proven by the tests of what they are about; and how a short form is remembered. */
const OWN_KEYS = /(^|\.)x-berth(\.|$)|\.ulimits\.\*\.single$/;

/** All patterns of keys that the schema has, `*` for names of a person's choosing. */
function patternsOf(schema: Schema, at = ""): string[] {
  const below = (key: string, next: Schema): string[] => {
    const path = at === "" ? key : `${at}.${key}`;
    return [path, ...patternsOf(next, path)];
  };
  const named = Object.entries(schema.properties ?? {}).flatMap(([key, next]) => below(key, next));
  const free = [
    ...(typeof schema.additionalProperties === "object" ? [schema.additionalProperties] : []),
    ...Object.entries(schema.patternProperties ?? {}).flatMap(([pattern, next]) =>
      pattern.startsWith("^x-") ? [] : [next],
    ),
  ].flatMap((next) => patternsOf(next, at === "" ? "*" : `${at}.*`));
  const forms = [...(schema.oneOf ?? []), ...(schema.items === undefined ? [] : [schema.items])];
  return [...named, ...free, ...forms.flatMap((next) => patternsOf(next, at))];
}

const patterns = [...new Set(patternsOf(stackSchema() as Schema))]
  .filter((pattern) => !OWN_KEYS.test(pattern))
  .sort();

/** Keys with nothing below them: the others are proven by what is below. */
const leaves = patterns.filter(
  (pattern) => !patterns.some((other) => other.startsWith(`${pattern}.`)),
);

/** The pattern itself and all that it lies below. */
function chain(pattern: string): string[] {
  const steps = pattern.split(".");
  return steps.map((_, index) => steps.slice(0, index + 1).join("."));
}

const not = new Set(SUPPORT.flatMap(({ level, pattern }) => (level === "not" ? [pattern] : [])));
const proven = new Set(
  [...KEY_STACKS.flatMap(({ checks }) => checks), ...PROOFS_ELSEWHERE].flatMap(({ keys }) => keys),
);

test("every key that is honoured, wholly or in part, has a proof", () => {
  const missing = leaves.filter(
    (pattern) => !chain(pattern).some((each) => not.has(each)) && !proven.has(pattern),
  );
  assert.deepEqual(missing, []);
});

test("no proof is of a key that does not exist or is said not to be honoured", () => {
  const known = new Set(patterns);
  const wrong = [...proven].filter(
    (pattern) => !known.has(pattern) || chain(pattern).some((each) => not.has(each)),
  );
  assert.deepEqual(wrong, []);
});

test("proofs that stand elsewhere are there, word for word", () => {
  const absent = PROOFS_ELSEWHERE.filter(
    ({ file, test: name }) => !readFileSync(join(ROOT, file), "utf8").includes(name),
  );
  assert.deepEqual(
    absent.map(({ file, test: name }) => `${file}: ${name}`),
    [],
  );
});

test("sentences of checks are unique in their stack", () => {
  for (const { name, checks } of KEY_STACKS) {
    assert.equal(new Set(checks.map(({ says }) => says)).size, checks.length, name);
  }
});
