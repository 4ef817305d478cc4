// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { memoryFiles } from "../files.ts";
import { loadCompose } from "../load/load.ts";
import { formatProblem } from "../problem.ts";
import { printCanonical, printMerged } from "./print.ts";

function testdata(name: string): string {
  return readFileSync(
    fileURLToPath(new URL(`../../testdata/kitchen/${name}`, import.meta.url)),
    "utf8",
  );
}

function kitchen(text: string) {
  const result = loadCompose({
    files: ["/stack/kitchen/compose.yaml"],
    environment: { HOME: "/root", TOKEN_VALUE: "s3", INHERIT: "inherited" },
    fs: memoryFiles({
      "/stack/kitchen/compose.yaml": text,
      "/stack/kitchen/.env": testdata(".env"),
      "/stack/kitchen/web.env": testdata("web.env"),
    }),
  });
  assert.ok(result.ok, result.ok ? "" : result.problems.map(formatProblem).join("\n"));
  return result.project;
}

for (const format of ["json", "yaml"] as const) {
  test(`the canonical ${format} is what docker compose config prints`, () => {
    assert.equal(
      printCanonical(kitchen(testdata("compose.yaml")), format),
      testdata(`expected.${format}`),
    );
  });
}

test("what is printed loads to what prints the same", () => {
  const once = printCanonical(kitchen(testdata("compose.yaml")), "yaml");
  assert.equal(printCanonical(kitchen(once), "yaml"), once);
});

test("variables that were left in a file are printed as they were written", () => {
  const result = loadCompose({
    files: ["/p/c.yaml"],
    environment: { TAG: "never" },
    interpolate: false,
    fs: memoryFiles({
      "/p/c.yaml":
        "name: my-${TAG}-shop\nservices:\n  web: {image: 'x:${TAG}', ports: ['${P:-80}:80'], scale: '${N}', environment: {A: $$x}}\n",
    }),
  });
  assert.ok(result.ok);
  const printed = printMerged(result.merged ?? new Map(), "yaml");
  for (const text of ["name: my-tag-shop", "image: x:${TAG}", "- ${P:-80}:80", "A: $$x"])
    assert.ok(printed.includes(text), printed);
});
