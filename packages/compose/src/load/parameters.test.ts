// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
/** Parameters: what is declared, which value is used, what is refused. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryFiles } from "../files.ts";
import { expectedInstead } from "../parameters/check-value.ts";
import { formatProblem } from "../problem.ts";
import { declaredParameters, loadCompose } from "./load.ts";

const SERVICE = "services:\n  web: {image: 'x:${TAG}', environment: {A: '${A-unset}'}}\n";

function optionsOf(
  declared: string,
  more: {
    readonly parameters?: Record<string, string>;
    readonly environment?: Record<string, string>;
  } = {},
) {
  return {
    files: ["/p/c.yaml"],
    environment: {},
    fs: memoryFiles({ "/p/c.yaml": `x-berth:\n  parameters:\n${declared}${SERVICE}` }),
    ...more,
  };
}

function webOf(options: ReturnType<typeof optionsOf>) {
  const result = loadCompose(options);
  assert.ok(result.ok, result.ok ? "" : result.problems.map(formatProblem).join("\n"));
  const { image, environment } = result.project.services["web"] ?? {};
  return { image, A: environment?.["A"], warnings: result.warnings.length };
}

describe("values of parameters", () => {
  const declared = "    TAG: {default: 1.20}\n    A: {required: false}\n";

  test("the default stands, below variables and given values; optional ones are empty", () => {
    assert.deepEqual(webOf(optionsOf(declared)), { image: "x:1.2", A: "", warnings: 0 });
    const environment = { TAG: "env", A: "env" };
    assert.deepEqual(webOf(optionsOf(declared, { environment })).image, "x:env");
    const parameters = { TAG: "set" };
    assert.deepEqual(webOf(optionsOf(declared, { environment, parameters })).image, "x:set");
  });

  test("what nobody gave is a variable that is not set", () => {
    const { image, A, warnings } = webOf(optionsOf("    TAG: {}\n    A: {generate: uuid}\n"));
    assert.deepEqual([image, A, warnings], ["x:", "unset", 1]);
  });

  test("declarations are known before the load, with their places and the variables of their names", () => {
    const environment = { TAG: "v", OTHER: "w" };
    const text = "    TAG: {description: which}\n    A:\n";
    assert.deepEqual(declaredParameters(optionsOf(text, { environment })), {
      declarations: { TAG: { description: "which" }, A: {} },
      places: {
        TAG: { file: "/p/c.yaml", line: 3, column: 5 },
        A: { file: "/p/c.yaml", line: 4, column: 5 },
      },
      variables: { TAG: "v" },
      name: "p",
    });
  });

  test("a file that is wrong elsewhere still has its declarations", () => {
    const files = { "/p/c.yaml": "x-berth: {parameters: {A: }}\nservices: 5\n" };
    const options = { files: ["/p/c.yaml"], environment: {}, fs: memoryFiles(files) };
    assert.deepEqual(Object.keys(declaredParameters(options).declarations), ["A"]);
  });
});

describe("wrong declarations", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["A: {typ: text}", "3:9  x-berth.parameters.A.typ   unknown key; did you mean type?"],
    ["A: {enum: [a]}", "3:9  x-berth.parameters.A.enum   unknown key; did you mean choices?"],
    [
      "A: {pattern: '('}",
      "3:18  x-berth.parameters.A.pattern   is no regular expression: Unterminated group; expected a regular expression",
    ],
    [
      "A: {generate: pasword}",
      '3:19  x-berth.parameters.A.generate   is "pasword"; expected "password", "hex", "base64", "uuid", "jwt"; did you mean password?',
    ],
    [
      "A: {generate: uuid, length: 5}",
      "3:33  x-berth.parameters.A.length   is of nothing; expected generate: password, hex or base64 beside it",
    ],
    [
      "A: {generate: hex, default: f}",
      "3:33  x-berth.parameters.A.default   excludes generate; expected one of the two: a value that is made up needs no default",
    ],
    [
      "A: {generate: jwt}",
      "3:19  x-berth.parameters.A.generate   is a token without a key; expected signed_with: the name of another parameter",
    ],
    [
      "A: {generate: jwt, signed_with: B}",
      '3:37  x-berth.parameters.A.signed_with   there is no parameter "B"; expected a parameter that is no token; did you mean A?',
    ],
    [
      "A: {default: c, choices: [a, b]}",
      '3:18  x-berth.parameters.A.default   is "c"; expected one of the choices: a, b',
    ],
    [
      "A-B: {}",
      "3:5  x-berth.parameters.A-B   \"A-B\" cannot be used as a variable; expected letters, digits and '_', the first no digit, at most 100 of them",
    ],
  ];
  for (const [declared, expected] of cases) {
    test(declared, () => {
      const result = loadCompose(optionsOf(`    ${declared}\n`));
      const problems = result.ok ? [] : result.problems.map(formatProblem);
      assert.deepEqual(problems, [`/p/c.yaml:${expected}`]);
    });
  }
});

test("values are held against their declaration", () => {
  const cases = [
    [{}, "", "a value that is not empty"],
    [{ required: false }, "", undefined],
    [{ type: "integer" }, "1.5", "a whole number"],
    [{ type: "integer" }, "-12", undefined],
    [{ type: "number" }, "1.5", undefined],
    [{ type: "number" }, "1,5", "a number"],
    [{ type: "boolean" }, "yes", "true or false"],
    [{ choices: ["a", "b"] }, "c", "one of a, b"],
    [{ pattern: "a|b" }, "ab", "text that matches a|b"],
    [{ pattern: "a|b" }, "b", undefined],
  ] as const;
  for (const [declaration, value, expected] of cases) {
    assert.equal(expectedInstead(declaration, value), expected, JSON.stringify(declaration));
  }
});
