// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
/**
 * Inputs for the loader that nobody would write: broken texts in odd encodings, and stacks whose keys are right and
 * whose values are not. Same seed, same inputs.
 */

import { readdirSync, readFileSync } from "node:fs";
import { Prng } from "@berth/base";
import { stringify } from "yaml";
import { service } from "../src/spec/service-codec.ts";

/** One input: files by their names below one folder; the first is given to the loader. */
export interface StackInput {
  readonly kind: "text" | "stack" | "layers";
  readonly files: readonly (readonly [name: string, text: string])[];
}

const ODD_VALUES: readonly unknown[] = [
  null,
  {},
  [],
  "",
  " ",
  "a",
  0,
  1,
  -1,
  1.5,
  1e21,
  true,
  false,
  "1",
  "-1",
  "0x10",
  "1e3",
  "${X}",
  "${UNSET}",
  "${X:-1}",
  "$$",
  "${X",
  "a=b",
  "10s",
  "1gb",
  ["a"],
  [1],
  { a: 1 },
  { a: null },
  ["a=b"],
  [null],
  [""],
  [{}],
  [[]],
  { a: {} },
  { a: [] },
  "a:b",
  "a:b:c",
  "/",
  "./x",
  "~",
  "é",
  "\n",
  "a\nb",
  ["a", "a"],
  [{ a: 1 }],
  "none",
  "yes",
  "2001-01-01",
  "80:80",
  ["80:80", "80-90:80-90"],
  { file: "./a", service: "b" },
  ["v1:/x", "./y:/y:ro"],
  { n1: { aliases: ["q"] } },
  "9".repeat(300),
];

const PIECES = [
  "services:\n",
  "  web:\n",
  "    image: x\n",
  "\t",
  "- ",
  "? ",
  ": ",
  "&a ",
  "*a",
  "<<: *a\n",
  "!reset ",
  "!override ",
  "!!binary ",
  "|\n",
  ">-\n",
  "|2\n",
  '"',
  "'",
  "{",
  "}",
  "[",
  "]",
  "#",
  "\r\n",
  "\r",
  "\u0000",
  "\uFEFF",
  "\u2028",
  "\uD800",
  "---\n",
  "...\n",
  "%YAML 1.2\n",
  "${",
  "}",
  "$$",
  "\\x",
  "\\u12",
  "\u0085",
  "x-a: ",
  "1e999",
  "~",
  "=",
  "@",
  "`",
  ",",
];

/** Endless inputs. */
export function* stackInputs(seed: number): Generator<StackInput> {
  const random = new Prng(seed);
  const seeds = seedTexts();
  while (true) {
    const draw = random.uint32() % 10;
    if (draw < 4) yield { kind: "text", files: [["compose.yaml", spoiled(seeds, random)]] };
    else if (draw < 8) yield { kind: "stack", files: [["compose.yaml", stackText(random)]] };
    else {
      const files = [
        ["compose.yaml", stackText(random)],
        ["b.yaml", stackText(random)],
      ] as const;
      yield { kind: "layers", files };
    }
  }
}

function seedTexts(): readonly string[] {
  const kitchen = new URL("../testdata/kitchen/compose.yaml", import.meta.url);
  const mistakes = new URL("../src/load/testdata/mistakes/", import.meta.url);
  const texts = readdirSync(mistakes).flatMap((name) =>
    readFileSync(new URL(name, mistakes), "utf8")
      .split("\n\n")
      .map((block) =>
        block
          .split("\n")
          .filter((line) => line.startsWith("|"))
          .map((line) => line.slice(2))
          .join("\n"),
      ),
  );
  return [readFileSync(kitchen, "utf8"), ...texts];
}

function pick<T>(list: readonly T[], random: Prng): T {
  const found = list[random.uint32() % list.length];
  if (found === undefined) throw new RangeError("nothing to pick from");
  return found;
}

/** A text with some places cut, doubled or filled with signs of the grammar. */
function spoiled(seeds: readonly string[], random: Prng): string {
  let text = pick(seeds, random);
  for (let count = 1 + (random.uint32() % 6); count > 0; count--) {
    const at = random.uint32() % (text.length + 1);
    const end = Math.min(text.length, at + (random.uint32() % 30));
    const middle = [
      "",
      pick(PIECES, random),
      pick(PIECES, random).repeat(random.uint32() % 200),
      text.slice(at, end).repeat(2),
      pick(seeds, random).slice(0, 80),
    ];
    text = text.slice(0, at) + pick(middle, random) + text.slice(random.uint32() % 2 ? end : at);
  }
  const form = random.uint32() % 12;
  if (form === 0) return `\uFEFF${text}`;
  if (form === 1) return text.replaceAll("\n", "\r\n");
  // What a reader makes of UTF-16 that is taken for UTF-8.
  return form === 2 ? [...text.slice(0, 500)].map((char) => `${char}\u0000`).join("") : text;
}

/** A stack as its own schema wishes it, with a value here and there that it does not. */
function stackText(random: Prng): string {
  const service = () => {
    const words = Array.from({ length: 1 + (random.uint32() % 3) }, () => {
      const [key, schema] = pick(SERVICE_SCHEMAS, random);
      return [key, random.uint32() % 10 === 0 ? odd() : valueLike(schema, random, 0)];
    });
    return { image: "x", ...Object.fromEntries(words) };
  };
  const odd = () => pick(ODD_VALUES, random);
  const some = (value: unknown) => (random.uint32() % 12 === 0 ? odd() : value);
  const stack = {
    services: { a: service(), b: service() },
    networks: { n1: some(null) },
    volumes: { v1: some(null) },
    configs: { c1: some({ file: "./c" }) },
    secrets: { s1: some({ environment: "X" }) },
    ...(random.uint32() % 6 === 0 ? { [pick(["x-a", "name", "include"], random)]: odd() } : {}),
  };
  return random.uint32() % 2 === 0 ? JSON.stringify(stack) : stringify(stack, { version: "1.1" });
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
}

const SERVICE_SCHEMAS = Object.entries((service.schema as Schema).properties ?? {});
const TEXTS = [
  "a",
  "b",
  "n1",
  "v1",
  "c1",
  "s1",
  "v1:/x",
  "./y",
  "/x",
  "80",
  "80:80",
  "1.5",
  "10s",
  "64m",
  "A=1",
  "host",
];
const DEPTH_MAX = 5;

function valueLike(schema: Schema, random: Prng, depth: number): unknown {
  if (schema.oneOf !== undefined) return valueLike(pick(schema.oneOf, random), random, depth);
  if (schema.enum !== undefined) return pick(schema.enum, random);
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? ["string"]);
  switch (pick(types, random)) {
    case "object":
      return objectOf(schema, random, depth);
    case "array": {
      if (schema.items === undefined || depth > DEPTH_MAX) return [];
      const { items } = schema;
      return Array.from({ length: random.uint32() % 3 }, () => valueLike(items, random, depth + 1));
    }
    case "integer":
    case "number":
      return random.uint32() % 100;
    case "boolean":
      return random.uint32() % 2 === 0;
    case "null":
      return null;
    default:
      return pick(TEXTS, random);
  }
}

function objectOf(schema: Schema, random: Prng, depth: number): object {
  const { properties, additionalProperties, required = [] } = schema;
  if (depth > DEPTH_MAX) return {};
  if (properties === undefined) {
    if (additionalProperties === undefined || additionalProperties === false) return {};
    return {
      [pick(["a", "b", "n1", "c1"], random)]: valueLike(additionalProperties, random, depth + 1),
    };
  }
  const names = Object.keys(properties);
  const chosen = new Set([...required, ...Array.from({ length: 2 }, () => pick(names, random))]);
  const entries = [...chosen].map((name) => [
    name,
    valueLike(properties[name] ?? {}, random, depth + 1),
  ]);
  return Object.fromEntries(entries);
}
