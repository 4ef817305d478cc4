// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
/**
 * A case for each row of the table of differences (differences.ts): what is said here. With the path of a `docker-compose`
 * program (2.26.1) in BERTH_COMPOSE_REFERENCE each case is given to it as well, and must not come to the same.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import { loadCompose } from "../load/load.ts";
import { formatProblem } from "../problem.ts";
import { DIFFERENCES } from "./differences.ts";
import { printCanonical, printMerged } from "./print.ts";

const REFERENCE = process.env["BERTH_COMPOSE_REFERENCE"];
const REFERENCE_TIMEOUT_MS = 20_000;
const ENVIRONMENT = { COMPOSE_PROJECT_NAME: "p" };

interface Case {
  readonly of: string;
  readonly files: Readonly<Record<string, string>>;
  /** The service in a second file. */
  readonly over?: string;
  readonly format?: "json" | "yaml";
  readonly asWritten?: true;
  /** What is printed has this; or does not, or is refused with it. */
  readonly prints?: string;
  readonly lacks?: string;
  readonly refuses?: RegExp;
  /** The reference is not asked: it takes all memory, or needs an engine. */
  readonly alone?: true;
}

function web(of: string, service: string, expected: Partial<Case>, rest = ""): Case {
  return { of, files: { "compose.yaml": `services:\n  web: ${service}\n${rest}` }, ...expected };
}

const CASES: readonly Case[] = [
  web(
    "drive",
    "{image: x, volumes: ['v:/data']}",
    { prints: '"source": "v"' },
    "volumes: {v: {}}\n",
  ),
  web("ssh", "{build: {context: ., ssh: [k=/key]}}", { prints: '"k=/key"' }),
  web("line-breaks", '{image: x, command: [sh, "\\nx\\ny"]}', {
    format: "yaml",
    prints: "- |2-\n\n        x\n        y",
  }),
  web("newer-keys", "{image: x, pre_start: [{command: [a], per_replica: true}]}", {
    prints: '"per_replica": true',
  }),
  web("newer-keys", "{image: x, use_api_socket: true}", { prints: '"use_api_socket": true' }),
  web(
    "newer-keys",
    "{image: x, models: {m: }}",
    { prints: '"models"' },
    "models: {m: {model: a/b}}\n",
  ),
  web("newer-keys", "{provider: {type: own}}", { prints: '"type": "own"' }),
  web("no-limit", "{image: x, memswap_limit: '-1'}", { prints: '"memswap_limit": "-1"' }),
  web("unlikely-values", "{image: x, volumes: [{type: folder, source: ., target: /x}]}", {
    refuses: /volumes\[0\]\.type {3}is "folder"/,
  }),
  web("unlikely-values", "{image: x, scale: -1}", { refuses: /scale {3}is the number -1/ }),
  web("unlikely-values", "{image: x, post_start: [{command: }]}", {
    refuses: /post_start\[0\]\.command {3}is nothing/,
  }),
  {
    of: "extends-of-nothing",
    files: {
      "compose.yaml": "services:\n  web: {image: x, extends: {file: base.yaml, service: base}}\n",
      "base.yaml": "services:\n  base:\n",
    },
    lacks: "extends",
  },
  web("nothing", "{image: x, pid: }", { lacks: '"pid"' }),
  web("address-list", "{image: x, environment: ['A=[::1]']}", {
    prints: '"A": "[::1]"',
    alone: true,
  }),
  web("nothing", "{image: x, logging: {driver: a}}", {
    over: "{logging: }",
    prints: '"driver": "a"',
  }),
  web("override-nothing", "{image: x, command: a}", {
    over: "{command: !override null}",
    prints: '"command": null',
  }),
  web("unlike-forms", "{image: x, depends_on: [db]}\n  db: {image: x}", {
    over: "{depends_on: cache}",
    refuses: /depends_on {3}is "cache" here and a mapping in/,
  }),
  {
    of: "separators",
    files: { "compose.yaml": "services:\n  web:\n    image: x\n    hostname: a\u2028b\n" },
    prints: '"hostname": "a\\u2028b"',
  },
  web("unlikely-values", "{image: x, deploy: {update_config: {max_failure_ratio: 1.5}}}", {
    refuses: /max_failure_ratio {3}is the number 1.5/,
  }),
  web("bare-dependency", "{image: x, depends_on: {db: }}\n  db: {image: x}", {
    prints: '"condition": "service_started"',
  }),
  web("exponents", "{image: x, mem_limit: 1e9}", { prints: '"mem_limit": "1000000000"' }),
  web("exponents", "{image: x, command: 2001-01-01}", { refuses: /command {3}is/ }),
  web("lines-in-defaults", '{image: x, labels: {a: "${B:-one\\ntwo}"}}', {
    prints: '"a": "one\\ntwo"',
  }),
  {
    of: "secret",
    files: {
      "compose.yaml":
        "include: [{path: inner/inner.yaml, project_directory: inner, env_file: inner/e.env}]\n",
      "inner/e.env": "HIDDEN=hush\n",
      "inner/inner.yaml":
        "services:\n  web: {image: x, secrets: [s]}\nsecrets: {s: {environment: HIDDEN}}\n",
    },
    format: "yaml",
    asWritten: true,
    lacks: "hush",
  },
  {
    of: "bare-name-at-the-end",
    files: {
      "compose.yaml": "services: {web: {image: x, env_file: e.env}}\n",
      "e.env": "COMPOSE_PROJECT_NAME",
    },
    prints: '"COMPOSE_PROJECT_NAME": "p"',
  },
  web("empty-text", "{image: x, environment: {A: 1}}", {
    over: "{environment: ''}",
    lacks: '"": null',
  }),
  {
    of: "missing-directory",
    files: {
      "compose.yaml": "include: [{path: inner/inner.yaml, project_directory: later}]\n",
      "inner/inner.yaml": "services: {web: {image: x, volumes: ['./a:/a']}}\n",
    },
    prints: '"/p/later/a"',
  },
  {
    of: "json-escapes",
    files: {
      "compose.yaml": '{"services": {"web": {"image": "a\\/b", "hostname": "\\ud83d\\ude00"}}}',
    },
    prints: '"image": "a/b"',
  },
  {
    of: "aliases",
    files: { "compose.yaml": bomb() },
    refuses: /aliases repeat more than/,
    alone: true,
  },
];

/** Ten aliases of ten aliases, eight deep. */
function bomb(): string {
  const levels = Array.from({ length: 8 }, (_, level) => {
    const items = level === 0 ? "a" : `*l${level - 1}`;
    return `x-${level}: &l${level} [${Array.from({ length: 10 }, () => items).join(", ")}]\n`;
  });
  return `services: {web: {image: x}}\n${levels.join("")}`;
}

/** All files, the named ones first. */
function filesOf({ files, over }: Case): readonly (readonly [string, string])[] {
  const second = over === undefined ? [] : [["over.yaml", `services:\n  web: ${over}\n`] as const];
  return [...Object.entries(files), ...second];
}

function namedFiles({ over }: Case): readonly string[] {
  return over === undefined ? ["compose.yaml"] : ["compose.yaml", "over.yaml"];
}

/** What is printed, or a line for each error. */
function said(one: Case): { printed?: string; errors?: string } {
  const { format = "json", asWritten } = one;
  const placed = filesOf(one).map(([name, text]) => [`/p/${name}`, text]);
  const result = loadCompose({
    files: namedFiles(one).map((name) => `/p/${name}`),
    environment: ENVIRONMENT,
    fs: memoryFiles(Object.fromEntries(placed)),
    ...(asWritten === true ? { interpolate: false, checkConsistency: false } : {}),
  });
  if (!result.ok) return { errors: result.problems.map(formatProblem).join("\n") };
  return {
    printed: asWritten
      ? printMerged(result.merged ?? new Map(), format)
      : printCanonical(result.project, format),
  };
}

/** The same of the reference; `undefined` when it refuses, or ends with a panic. */
function reference(path: string, one: Case): string | undefined {
  const { format = "json", asWritten } = one;
  const folder = mkdtempSync(join(tmpdir(), "berth-differences-"));
  try {
    for (const [name, text] of filesOf(one)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const named = namedFiles(one).flatMap((name) => ["-f", name]);
    const words = [
      ...named,
      "config",
      "--format",
      format,
      ...(asWritten ? ["--no-interpolate"] : []),
    ];
    const { status, stdout } = spawnSync(path, words, {
      cwd: folder,
      env: { ...ENVIRONMENT, PATH: process.env["PATH"], HOME: folder },
      encoding: "utf8",
      timeout: REFERENCE_TIMEOUT_MS,
    });
    return status === 0 ? stdout.replaceAll(folder, "/p") : undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const byId = new Map(DIFFERENCES.map((row) => [row.id, row]));

for (const [index, each] of CASES.entries()) {
  test(`${index + 1}: ${byId.get(each.of)?.what}`, () => {
    const { printed, errors } = said(each);
    if (each.refuses === undefined) {
      assert.ok(printed !== undefined, errors);
      assert.ok(printed.includes(each.prints ?? ""), printed);
      if (each.lacks !== undefined) assert.ok(!printed.includes(each.lacks), printed);
    } else assert.match(errors ?? "it loads", each.refuses);
    if (REFERENCE === undefined || each.alone === true) return;
    const theirs = reference(REFERENCE, each);
    assert.notEqual(theirs?.trim(), printed?.trim(), "the reference says the same: the row can go");
  });
}

test("each row of the table has a case, and each case a row", () => {
  assert.deepEqual(
    [...new Set(CASES.map((each) => each.of))].sort(),
    DIFFERENCES.map(({ id }) => id).sort(),
  );
});
