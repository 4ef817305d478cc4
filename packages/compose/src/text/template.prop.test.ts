// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNever } from "@berth/base";
import fc from "fast-check";
import { interpolate } from "./template.ts";

/** A template as a structure, from which both the text and the expected result follow. */
type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "dollar" }
  | { readonly kind: "variable"; readonly name: string; readonly braces: boolean }
  | {
      readonly kind: "operator";
      readonly name: string;
      readonly operator: string;
      readonly word: readonly Part[];
    };

const NAMES = ["A", "B", "_c", "Long_Name9", "UNSET"] as const;
const VALUES = new Map([
  ["A", "alpha"],
  ["B", ""],
  ["_c", "with $A and ${B}"],
  ["Long_Name9", "}{\n'\""],
]);

const part = fc.letrec<{ part: Part }>((tie) => ({
  part: fc.oneof(
    { depthSize: "small" },
    fc
      .string({ maxLength: 6 })
      .map((text): Part => ({ kind: "text", text: text.replace(/[${}]/g, "") })),
    fc.constant<Part>({ kind: "dollar" }),
    fc.record({
      kind: fc.constant("variable" as const),
      name: fc.constantFrom(...NAMES),
      braces: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant("operator" as const),
      name: fc.constantFrom(...NAMES),
      operator: fc.constantFrom("-", ":-", "+", ":+", "?", ":?"),
      word: fc.array(tie("part"), { maxLength: 3 }),
    }),
  ),
})).part;

function written(parts: readonly Part[]): string {
  return parts
    .map((one) => {
      switch (one.kind) {
        case "text":
          return one.text;
        case "dollar":
          return "$$";
        case "variable":
          return one.braces ? `\${${one.name}}` : `$${one.name}`;
        case "operator":
          return `\${${one.name}${one.operator}${written(one.word)}}`;
        default:
          return assertNever(one);
      }
    })
    .join("");
}

/** The slow reference: evaluates the structure and never looks at the text. */
function evaluated(parts: readonly Part[]): string {
  return parts
    .map((one) => {
      if (one.kind === "text") return one.text;
      if (one.kind === "dollar") return "$";
      const value = VALUES.get(one.name);
      if (one.kind === "variable") return value ?? "";
      const present = one.operator.startsWith(":") ? Boolean(value) : value !== undefined;
      if (one.operator.endsWith("+")) return present ? evaluated(one.word) : (value ?? "");
      if (present) return value ?? "";
      return one.operator.endsWith("?") ? "" : evaluated(one.word);
    })
    .join("");
}

/** `$A` followed by a letter would be another name: such neighbours are put in braces. */
function separated(parts: readonly Part[]): readonly Part[] {
  return parts.map((one, index) => {
    if (one.kind === "operator") return { ...one, word: separated(one.word) };
    const next = parts[index + 1];
    const glues = next?.kind === "text" && /^[A-Za-z0-9_]/.test(next.text);
    const empty = next?.kind === "text" && next.text === "";
    return one.kind === "variable" && (glues || empty) ? { ...one, braces: true } : one;
  });
}

const settings = { seed: 20261120, numRuns: 3000 };

test("interpolation agrees with the slow reference", () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (generated) => {
      const parts = separated(generated);
      const result = interpolate(written(parts), (name) => VALUES.get(name));
      assert.equal(result.text, evaluated(parts), written(parts));
    }),
    settings,
  );
});

test("a text with its dollars doubled comes back as it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const result = interpolate(text.replaceAll("$", "$$$$"), () => "never");
      assert.deepEqual(result, { text, issues: [] });
    }),
    settings,
  );
});

test("no text makes it throw, and issues point into the text", () => {
  const sign = fc.constantFrom("$", "{", "}", ":", "-", "+", "?", "A", "b", "1", "_", " ", "\n");
  fc.assert(
    fc.property(fc.array(sign, { maxLength: 40 }), (signs) => {
      const text = signs.join("");
      for (const { at } of interpolate(text, () => undefined).issues) {
        assert.ok(at >= 0 && at < text.length, `${at} in ${JSON.stringify(text)}`);
      }
    }),
    settings,
  );
});
