// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { memoryFiles } from "../files.ts";
import { loadCompose } from "../load/load.ts";
import { formatProblem } from "../problem.ts";
import { hashedText, printCanonical, printMerged } from "./print.ts";

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

test("what is hashed has the env files in the reference's place, after the profiles", () => {
  const result = loadCompose({
    files: ["/p/c.yaml"],
    environment: {},
    readEnvFiles: false,
    fs: memoryFiles({
      "/p/c.yaml":
        "services: {web: {image: x, profiles: [''], env_file: e.env, environment: {A: 1}}}\n",
    }),
  });
  assert.ok(result.ok);
  assert.equal(
    hashedText(result.project, "web"),
    '{"profiles":[""],"command":null,"entrypoint":null,"environment":{"A":"1"},"env_file":["/p/e.env"],"image":"x","networks":{"default":null}}',
  );
});

test("unresolved, paths of files that are named are said from the project's directory, others as they are written", () => {
  const options = {
    files: ["/p/c.yaml"],
    environment: { HOME: "/home/me" },
    resolvePaths: false,
    fs: memoryFiles({
      "/p/c.yaml":
        "include: [inc/i.yaml]\nservices:\n  own: {image: x, volumes: ['./d:/d', '~/h:/h']}\n  web: {extends: {file: sub/b.yaml, service: b}}\n",
      "/p/inc/i.yaml": "services: {inc: {image: x, volumes: ['./d:/d', '../up:/up']}}\n",
      "/p/sub/b.yaml":
        "services: {b: {image: x, build: ./ctx, volumes: ['./d:/d', '~/h:/h', '.:/w']}}\n",
    }),
  };
  const written = loadCompose({ ...options, interpolate: false });
  const loaded = loadCompose(options);
  assert.ok(written.ok && loaded.ok);
  for (const text of [
    printMerged(written.merged ?? new Map(), "json"),
    printCanonical(loaded.project, "json"),
  ]) {
    const sources = [...text.matchAll(/"(?:source|context)": "([^"]*)"/g)].map(([, path]) => path);
    assert.deepEqual(
      [...sources].sort(),
      ["./d", "~/h", "inc/d", "up", "sub/ctx", "sub/d", "/home/me/h", "sub"].sort(),
    );
  }
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
