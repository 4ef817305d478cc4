import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify as stringifyWith } from "yaml";
import { memoryFiles } from "../files.ts";
import type { ComposeProject } from "../model/project-model.ts";
import { printCanonical } from "../print/print.ts";
import { formatProblem, Problems } from "../problem.ts";
import { mergeFiles } from "../tree/merge.ts";
import { sameTree } from "../tree/same-tree.ts";
import type { Tree } from "../tree/tree.ts";
import { parseYaml } from "../yaml/parse.ts";
import { type LoadResult, loadCompose } from "./load.ts";
import { EMPTY_MAP } from "./merge-documents.ts";

const settings = {
  seed: Number(process.env["SEED"] ?? 20261120),
  numRuns: Number(process.env["RUNS"] ?? 200),
};

/** Texts in quotes: what a plain text means is another test's business. */
function stringify(data: unknown): string {
  return stringifyWith(data, { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "QUOTE_DOUBLE" });
}

function load(...texts: readonly string[]): LoadResult {
  const files = texts.map((_, index) => `/p/${index}.yaml`);
  const contents = texts.map((text, index) => [files[index] ?? "", text] as const);
  const fs = memoryFiles(Object.fromEntries(contents));
  return loadCompose({ files, environment: { HOME: "/h" }, projectName: "p", fs });
}

function loaded(...texts: readonly string[]): ComposeProject {
  const result = load(...texts);
  assert.ok(
    result.ok,
    result.ok ? "" : `${result.problems.map(formatProblem).join("\n")}\n${texts.join("---\n")}`,
  );
  return result.project;
}

const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,5}$/);
const anyText = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom("a b", "x=y", "$", "$$V", '"', "a\nb", "\n", " "),
);
/** Texts as a user writes them who wants them to arrive: dollars doubled. */
const value = anyText.map((text) => text.replaceAll("$", "$$$$"));
const table = fc.dictionary(name, fc.oneof(value, fc.integer(), fc.boolean(), fc.constant(null)), {
  maxKeys: 4,
});
const tableOrList = fc.oneof(
  table,
  fc.uniqueArray(name, { maxLength: 4 }).chain((names) =>
    fc.tuple(
      ...names.map((key) =>
        fc.oneof(
          fc.constant(key),
          value.map((text) => `${key}=${text}`),
        ),
      ),
    ),
  ),
);
const duration = fc.constantFrom("1s", "90s", "1m30s", "500ms", "1h", "0s");
const size = fc.constantFrom("64m", "1g", "512k", "1000");
const port = fc.oneof(
  fc.integer({ min: 1, max: 65_535 }),
  fc.constantFrom("8080:80", "127.0.0.1:53:53/udp", "9000-9002:90-92", "3000", "80"),
  fc.record({
    target: fc.integer({ min: 1, max: 65_535 }),
    published: fc.constantFrom("80", "8000-8010"),
  }),
);

/** Not 0: the reference leaves zeros out of its JSON, which then cannot be read back. */
const limit = fc.integer({ min: 1, max: 1_000_000 });

const service = fc.record(
  {
    image: fc.constantFrom("x", "registry:5000/a/b:1@sha256:00"),
    environment: tableOrList,
    labels: tableOrList,
    command: fc.oneof(
      fc.constantFrom("echo a 'b c'", "run"),
      fc.array(value, { maxLength: 3 }),
      fc.constant(null),
    ),
    ports: fc.array(port, { maxLength: 3 }),
    volumes: fc.array(fc.constantFrom("data:/d", "./x:/x:ro", "/anon", "~/h:/h", "../up:/up"), {
      maxLength: 4,
    }),
    healthcheck: fc.record(
      { test: fc.constantFrom("true", ["CMD", "x"]), interval: duration },
      { requiredKeys: ["test"] },
    ),
    restart: fc.constantFrom("no", "always", "on-failure:3", "unless-stopped"),
    mem_limit: size,
    stop_grace_period: duration,
    cap_add: fc.uniqueArray(fc.constantFrom("A", "B", "C")),
    dns: fc.oneof(
      fc.constantFrom("1.1.1.1"),
      fc.uniqueArray(fc.constantFrom("1.1.1.1", "8.8.8.8")),
    ),
    ulimits: fc.dictionary(
      fc.constantFrom("nofile", "nproc"),
      fc.oneof(limit, fc.record({ soft: limit, hard: limit })),
    ),
    init: fc.boolean(),
    scale: fc.integer({ min: 0, max: 5 }),
    extra_hosts: fc.uniqueArray(fc.constantFrom("a=1.1.1.1", "b:2.2.2.2", "c=::1")),
    networks: fc.constantFrom(
      ["front"],
      { front: { aliases: ["w"] } },
      {},
      { front: null, default: null },
    ),
    "x-note": fc.jsonValue({ maxDepth: 2 }).filter((one) => !JSON.stringify(one).includes("$")),
  },
  { requiredKeys: ["image"] },
);

const stack = fc.record({
  services: fc.dictionary(name, service, { minKeys: 1, maxKeys: 3 }),
  networks: fc.constant({ front: { driver: "bridge" } }),
  volumes: fc.constant({ data: null }),
});

test("what is printed loads to the same project", () => {
  fc.assert(
    fc.property(stack, (data) => {
      const first = loaded(stringify(data));
      const printed = printCanonical(first, "yaml");
      assert.equal(printCanonical(loaded(printed), "yaml"), printed);
      assert.equal(printCanonical(loaded(printed), "json"), printCanonical(first, "json"));
    }),
    settings,
  );
});

test("the JSON form is JSON and says the same as the YAML form", () => {
  fc.assert(
    fc.property(stack, (data) => {
      const first = loaded(stringify(data));
      const json = printCanonical(first, "json");
      assert.equal(printCanonical(loaded(json), "json"), json);
      assert.doesNotThrow(() => JSON.parse(json));
    }),
    settings,
  );
});

test("environment values arrive byte for byte in both spellings", () => {
  const key = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,5}$/);
  const printable = fc.string({
    unit: fc.oneof(
      fc.constantFrom(..."\"'\\$\n\t{}[]:#|> é世"),
      fc.string({ minLength: 1, maxLength: 1 }),
    ),
  });
  fc.assert(
    fc.property(fc.dictionary(key, printable), fc.boolean(), (environment, asList) => {
      const doubled = Object.entries(environment).map(([name, text]) => [
        name,
        text.replaceAll("$", "$$$$"),
      ]);
      const written = asList
        ? doubled.map(([name, text]) => `${name}=${text}`)
        : Object.fromEntries(doubled);
      const project = loaded(stringify({ services: { a: { image: "x", environment: written } } }));
      assert.deepEqual(project.services["a"]?.environment, { ...environment });
    }),
    settings,
  );
});

test("merging a file with itself changes nothing", () => {
  fc.assert(
    fc.property(stack, (data) => {
      const text = stringify(data);
      assert.equal(
        printCanonical(loaded(text, text), "json"),
        printCanonical(loaded(text), "json"),
      );
    }),
    settings,
  );
});

test("merging with a file that says nothing of it changes nothing", () => {
  fc.assert(
    fc.property(stack, (data) => {
      const text = stringify(data);
      const plain = printCanonical(loaded(text), "json");
      const nothing = '{"networks": {"front": {}}}';
      assert.equal(printCanonical(loaded(text, nothing), "json"), plain);
      assert.equal(printCanonical(loaded(nothing, text), "json"), plain);
    }),
    settings,
  );
});

test("merging is associative", () => {
  const tree = (data: unknown): Tree => {
    const [only] = parseYaml(
      { file: "/f", text: stringify(data), baseDirectory: "/" },
      new Problems(),
    );
    return only ?? EMPTY_MAP;
  };
  fc.assert(
    fc.property(stack, stack, stack, (first, second, third) => {
      const [a, b, c] = [tree(first), tree(second), tree(third)];
      const problems = new Problems();
      const left = mergeFiles(mergeFiles(a, b, problems), c, problems);
      const right = mergeFiles(a, mergeFiles(b, c, problems), problems);
      if (!problems.hasErrors) assert.ok(sameTree(left, right));
    }),
    settings,
  );
});

const noise = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        "services:",
        "\n  ",
        "\n    ",
        "a:",
        " x",
        "image: ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "${",
        "}",
        "$",
        "<<: ",
        "!reset ",
        "extends: ",
        "include: ",
        "\t",
        ": ",
        "1",
        "null",
        "'",
        '"',
        "|\n",
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join("")),
  fc
    .tuple(
      stack,
      fc.array(
        fc.tuple(fc.nat(300), fc.constantFrom("", " ", "\n", ":", "{", "-", "null", "[]", "x")),
        { maxLength: 5 },
      ),
    )
    .map(([data, edits]) =>
      edits.reduce(
        (text, [at, insert]) => text.slice(0, at) + insert + text.slice(at + 1),
        stringify(data),
      ),
    ),
);

test("no text makes the loader throw, and every problem has its place", () => {
  fc.assert(
    fc.property(noise, (text) => {
      const result = load(text);
      const found = result.ok ? result.warnings : [...result.problems, ...result.warnings];
      for (const problem of found) {
        assert.ok(
          problem.line >= 1 && problem.column >= 1 && problem.message !== "",
          formatProblem(problem),
        );
      }
      assert.ok(result.ok || result.problems.length > 0);
      if (result.ok) printCanonical(result.project, "json");
    }),
    { ...settings, numRuns: settings.numRuns * 4 },
  );
});
