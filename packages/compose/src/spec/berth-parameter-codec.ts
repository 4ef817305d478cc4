/**
 * `x-berth.parameters`: what a stack asks for by name.
 *
 * The rules that need several keys are here: what is made up has no default, a token names its key, a length needs
 * something that has one. Values are held against their rules at deploy (parameters/check-value.ts).
 */

import { nearestWord } from "@berth/base";
import { type Codec, type Reading, refuse } from "../codec/codec.ts";
import { list, orNothing, tableOf } from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import { bool, durationMs, integer, oneOf, text } from "../codec/scalar-codecs.ts";
import type { ParameterDeclaration } from "../model/berth-model.ts";
import { kindName, type MapTree, type Tree, valueAt } from "../tree/tree.ts";

/** The server's limit. */
const GENERATED_LENGTH_MAX = 1_024;
/** Of a regular expression: longer ones are programs. */
const PATTERN_CHARS_MAX = 500;

/** A single value as the text that a variable has. */
const valueText: Codec<string> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && tree.type !== "null") return tree.text;
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "text, a number, true or false",
    });
  },
  print: (value) => value,
  schema: { type: ["string", "number", "boolean"] },
};

const pattern: Codec<string> = {
  ...text,
  read(tree, path, reading) {
    const written = text.read(tree, path, reading);
    if (written === undefined) return undefined;
    const wrong = problemOfPattern(written);
    if (wrong === undefined) return written;
    return refuse(reading, tree, path, { found: wrong, expected: "a regular expression" });
  },
  schema: { type: "string", format: "regex" },
};

function problemOfPattern(written: string): string | undefined {
  if (written.length > PATTERN_CHARS_MAX) return `has more than ${PATTERN_CHARS_MAX} characters`;
  try {
    new RegExp(written, "u");
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, "") : String(error);
    return `is no regular expression: ${reason}`;
  }
}

const claims: Codec<Readonly<Record<string, string | number | boolean>>> = tableOf({
  read(tree, path, reading) {
    if (tree.kind === "scalar" && tree.type !== "null") return claimOf(tree.type, tree.text);
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "text, a number, true or false",
    });
  },
  print: (value) => value,
  schema: { type: ["string", "number", "boolean"] },
});

function claimOf(type: string, written: string): string | number | boolean {
  if (type === "bool") return written === "true";
  return type === "int" || type === "float" ? Number(written) : written;
}

const words = record<ParameterDeclaration>(
  {
    type: field("type", oneOf(["text", "integer", "number", "boolean"])),
    description: field("description", text),
    default: field("default", valueText),
    required: field("required", bool),
    pattern: field("pattern", pattern),
    choices: field("choices", list(valueText)),
    generate: field("generate", oneOf(["password", "hex", "base64", "uuid", "jwt"])),
    length: field("length", integer({ min: 1, max: GENERATED_LENGTH_MAX })),
    signedWith: field("signed_with", text),
    claims: field("claims", claims),
    lifetimeMs: field("lifetime", durationMs),
    secret: field("secret", bool),
  },
  {
    closed: true,
    misplaced: {
      value: "default",
      regex: "pattern",
      enum: "choices",
      options: "choices",
      sensitive: "secret",
      random: "generate",
    },
  },
);

const parameter: Codec<ParameterDeclaration> = {
  ...orNothing<ParameterDeclaration>(words, {}),
  read(tree, path, reading) {
    const read = orNothing<ParameterDeclaration>(words, {}).read(tree, path, reading);
    if (read !== undefined) checkTogether(read, tree, path, reading);
    return read;
  },
};

function checkTogether(
  { generate, ...rest }: ParameterDeclaration,
  tree: Tree,
  path: string,
  reading: Reading,
): void {
  const at = (key: string) => valueAt(tree, key) ?? tree;
  const wrong = (key: string, found: string, expected: string) =>
    refuse(reading, at(key), `${path}.${key}`, { found, expected });
  if (generate !== undefined && rest.default !== undefined) {
    wrong(
      "default",
      "excludes generate",
      "one of the two: a value that is made up needs no default",
    );
  }
  const hasLength = generate === "password" || generate === "hex" || generate === "base64";
  if (rest.length !== undefined && !hasLength) {
    wrong("length", "is of nothing", "generate: password, hex or base64 beside it");
  }
  const isToken = generate === "jwt";
  for (const [key, value] of [
    ["signed_with", rest.signedWith],
    ["claims", rest.claims],
    ["lifetime", rest.lifetimeMs],
  ] as const) {
    if (value !== undefined && !isToken) wrong(key, "belongs to tokens", "generate: jwt beside it");
  }
  if (isToken && rest.signedWith === undefined) {
    wrong("generate", "is a token without a key", "signed_with: the name of another parameter");
  }
  if (rest.default !== undefined && rest.choices?.includes(rest.default) === false) {
    wrong("default", `is "${rest.default}"`, `one of the choices: ${rest.choices.join(", ")}`);
  }
}

const table = tableOf(parameter);

/** `x-berth.parameters`. */
export const parameters: Codec<Readonly<Record<string, ParameterDeclaration>>> = {
  ...table,
  read(tree, path, reading) {
    if (tree.kind === "map") refuseNames(tree, path, reading);
    const read = table.read(tree, path, reading);
    if (read !== undefined) checkKeys(read, tree, path, reading);
    return read;
  },
  schema: { ...table.schema, propertyNames: { pattern: "^[A-Za-z_][A-Za-z0-9_]*$" } },
};

function refuseNames(tree: MapTree, path: string, reading: Reading): void {
  for (const [name, { key }] of tree.entries) {
    if (/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name)) continue;
    refuse(reading, key, `${path}.${name}`, {
      found: `${JSON.stringify(name)} cannot be used as a variable`,
      expected: "letters, digits and '_', the first no digit, at most 100 of them",
    });
  }
}

/** The key of a token is another parameter, and no token itself. */
function checkKeys(
  read: Readonly<Record<string, ParameterDeclaration>>,
  tree: Tree,
  path: string,
  reading: Reading,
): void {
  for (const [name, { signedWith }] of Object.entries(read)) {
    if (signedWith === undefined) continue;
    const key = Object.hasOwn(read, signedWith) ? read[signedWith] : undefined;
    if (key !== undefined && key.generate !== "jwt") continue;
    const at = valueAt(valueAt(tree, name), "signed_with") ?? tree;
    reading.problems.error(
      at,
      `${path}.${name}.signed_with`,
      key === undefined ? `there is no parameter "${signedWith}"` : "names a token",
      {
        expected: "a parameter that is no token",
        suggestion: nearestWord(signedWith, Object.keys(read)),
      },
    );
  }
}
