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

/**
 * Where the canonical form differs from the reference on purpose. The table may only shrink; the same rows stand in
 * docs/reference/compose.md.
 */
const DIFFERENCES: readonly {
  readonly why: string;
  readonly service: string;
  readonly prints: string;
}[] = [
  {
    why: "v:/data is the volume v; the reference takes it for a drive of Windows",
    service: "{image: x, volumes: ['v:/data']}",
    prints: '"source": "v"',
  },
  {
    why: "keys of build.ssh print as id=path; the reference prints JSON that is none",
    service: "{build: {ssh: [k=/key]}}",
    prints: '"k=/key"',
  },
  {
    why: "no limit is -1 in quotes, too, as the canonical form prints it; the reference refuses to read that back",
    service: "{image: x, memswap_limit: '-1'}",
    prints: '"memswap_limit": "-1"',
  },
  {
    why: "a new line at the start of a text is kept in YAML; the reference loses it",
    service: '{image: x, command: [sh, "\\nx\\ny"]}',
    prints: "- |2-\n\n        x\n        y",
  },
  {
    why: "a size with an exponent is one; the reference drops it",
    service: "{image: x, mem_limit: 1e9}",
    prints: '"mem_limit": "1000000000"',
  },
  {
    why: "a dependency with nothing behind its name is the name alone; the reference refuses it",
    service: "{image: x, depends_on: {db: }}\n  db: {image: x}",
    prints: '"condition": "service_started"',
  },
  {
    why: "a key that is newer than the reference prints",
    service: "{image: x, pre_start: [{command: [a], per_replica: true}]}",
    prints: '"per_replica": true',
  },
];

for (const { why, service, prints } of DIFFERENCES) {
  test(`difference: ${why}`, () => {
    const project = kitchen(`services:\n  web: ${service}\nvolumes: {v: {}}\n`);
    const printed = printCanonical(project, "json") + printCanonical(project, "yaml");
    assert.ok(printed.includes(prints), printed);
  });
}

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
