/**
 * Forms whose printed value is not what one would guess: each was seen in docker compose 2.26.1 and is kept here in the
 * words of its JSON.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import { loadCompose } from "../load/load.ts";
import { formatProblem } from "../problem.ts";
import { printCanonical } from "./print.ts";

function printed(text: string, format: "json" | "yaml" = "json"): string {
  const result = loadCompose({
    files: ["/p/compose.yaml"],
    environment: { COMPOSE_PROJECT_NAME: "p" },
    fs: memoryFiles({ "/p/compose.yaml": text }),
  });
  assert.ok(result.ok, result.ok ? "" : result.problems.map(formatProblem).join("\n"));
  return printCanonical(result.project, format).replace(/\s+/g, " ");
}

const web = (keys: string) => `services:\n  web: {image: x, ${keys}}\n`;

/** What is written, and what the JSON has of it. */
const FORMS: readonly (readonly [string, string, string])[] = [
  ["a dash before the end of an item is a text", web("command: [a,-]"), '"command": [ "a", "-" ]'],
  ["so it is in a mapping", web("environment: {A: -}"), '"A": "-"'],
  [
    "dates of extensions are texts of JSON",
    `${web("")}x-a: 2001-01-01\n`,
    '"2001-01-01T00:00:00Z"',
  ],
  ["an attachment without a value is nothing", web("networks: {default: }"), '"default": null'],
  ["an empty attachment is a mapping", web("networks: {default: {}}"), '"default": {}'],
  ["an empty list of an extension is nothing", `${web("")}x-a: {b: []}\n`, '"x-a": { "b": null }'],
  [
    "floats of extensions are JSON's",
    `${web("")}x-a: [1e-7, 1e21, 3000000.0]\n`,
    "[ 1e-7, 1e+21, 3000000 ]",
  ],
  ["floats of tables are Go's", web("environment: {A: 1234567.5}"), '"A": "1.2345675e+06"'],
  [
    "whole numbers over 64 bits are floats",
    web("labels: {a: 123456789012345680000}"),
    '"1.2345678901234568e+20"',
  ],
  ["an anonymous volume has options", web("volumes: [/ab]"), '"target": "/ab", "volume": {}'],
  ["a very short one has none", web("volumes: [/a]"), '"target": "/a" } ]'],
  ["an empty restart is none", web("restart: ''"), '"default": null } } }'],
  ["a restart that is no word is kept", web("restart: 'sometimes'"), '"restart": "sometimes"'],
  [
    "a name that no container can have is kept",
    web("container_name: '-db'"),
    '"container_name": "-db"',
  ],
  ["a fraction is cut off a quota", web("cpu_quota: 1.5"), '"cpu_quota": 1,'],
  ["no limit is a negative size", web("mem_limit: -1"), '"mem_limit": "-1"'],
  [
    "an empty build context is none",
    "services:\n  web: {build: {context: ''}}\n",
    '"build": { "dockerfile": "Dockerfile" }',
  ],
  ["a service of the profile that is no word takes part", web("profiles: ['']"), '"image": "x"'],
  [
    "a plain date is a time",
    web("environment: {A: 2024-1-2}"),
    '"A": "2024-01-02 00:00:00 +0000 UTC"',
  ],
  [
    "a time keeps its zone",
    web("labels: {a: 2024-01-02T03:04:05.60+02:00}"),
    '"2024-01-02 03:04:05.6 +0200 +0200"',
  ],
  [
    "times of extensions are RFC 3339",
    `${web("")}x-a: 2024-01-02 3:4:5\n`,
    '"x-a": "2024-01-02T03:04:05Z"',
  ],
  ["a day that no month has is text", web("labels: {a: 2023-02-29}"), '"a": "2023-02-29"'],
  ["the text of a date is what is written", web("labels: {a: !!str 2024-1-2}"), '"a": "2024-1-2"'],
  ["deploy without a value is none", web("deploy: "), '"image": "x", "networks"'],
  ["develop without a value is none", web("develop: "), '"image": "x", "networks"'],
  ["binary is the text behind it", web("command: !!binary aGk="), '"command": [ "hi" ]'],
  [
    "a tag on nothing is the empty text",
    `${web("")}    hostname: !!str\n`.replace("{image: x, }", "\n    image: x"),
    '"image": "x", "networks"',
  ],
  [
    "a share of Windows has a path below it",
    web("volumes: ['\\\\s\\x\\y:/b']"),
    '"source": "\\\\\\\\s\\\\x\\\\y"',
  ],
  [
    "what has none is a name here",
    web("volumes: ['\\\\s\\x:/b']"),
    '"source": "/p/\\\\\\\\s\\\\x"',
  ],
  ["hosts without addresses are an empty list", web("extra_hosts: {a: []}"), '"extra_hosts": []'],
  ["no hosts are nothing", web("extra_hosts: []"), '"entrypoint": null, "image"'],
  ["a limit has any name", web("ulimits: {NOFILE: 5}"), '"NOFILE": 5'],
  [
    "a fraction is cut off a mode",
    `${web("configs: [{source: c, mode: 1.5}]")}configs: {c: {file: c}}\n`,
    '"mode": 1',
  ],
  ["a tag that YAML does not know makes text", web("hostname: !own 0x10"), '"hostname": "0x10"'],
  ["so does !override", web("hostname: !override 12"), '"hostname": "12"'],
  ["a number that no float holds is text", web("labels: {a: 1e400}"), '"a": "1e400"'],
  ["a next-line character ends a line", web("hostname: 'a\u0085b'"), '"hostname": "a b"'],
  ["backspace and form feed", web('labels: {a: "\\b\\f"}'), '"a": "\\b\\f"'],
  ["expose takes any text", web("expose: [web]"), '"expose": [ "web" ]'],
];

for (const [name, text, expected] of FORMS) {
  test(name, () => {
    const shown = printed(text);
    assert.ok(shown.includes(expected), shown);
  });
}

test("a block that ends with a file without a line break has none either", () => {
  const text = "services:\n  web:\n    image: x\n    command:\n      - |\n        a\n        b";
  assert.ok(printed(text).includes('"a\\nb"'));
  assert.ok(printed(`${text}\n`).includes('"a\\nb\\n"'));
  // The explicit key is read by the other reader.
  assert.ok(printed(`? x-a\n: 1\n${text}`).includes('"a\\nb"'));
});

/** Two files with one service, and what the merged one has. */
const MERGES: readonly (readonly [string, string, string, string])[] = [
  ["a later line without a value wins", "environment: {A: 1}", "environment: [A]", '"A": null'],
  ["so it does in a mapping", "environment: {A: 1}", "environment: {A: }", '"A": null'],
  ["and an empty label", "labels: [A=1]", "labels: {A: }", '"A": ""'],
  [
    "a list of dependencies says that they must have started",
    "depends_on: {db: {condition: service_healthy, required: false}}",
    "depends_on: [db]",
    '"condition": "service_started", "required": true',
  ],
  [
    "a mapping of them says only what it says",
    "depends_on: {db: {condition: service_healthy, restart: true, required: false}}",
    "depends_on: {db: {condition: service_started}}",
    '"condition": "service_started", "restart": true, "required": false',
  ],
  ["an empty text over a table says nothing", "environment: {A: 1}", "environment: ''", '"A": "1"'],
  ["an empty text over names says nothing", "depends_on: [db]", "depends_on: ''", '"db": {'],
  ["an empty mapping over a list says nothing", "dns: 1.1.1.1", "dns: {}", '"1.1.1.1"'],
  ["an empty list over a build says nothing", "build: /a", "build: []", '"context": "/a"'],
  ["extends is taken back", "user: a", "extends: !reset db", '"user": "a"'],
  ["scale is deploy.replicas", "deploy: {mode: replicated}", "scale: 3", '"replicas": 3'],
];

for (const [name, base, over, expected] of MERGES) {
  test(`merged: ${name}`, () => {
    const result = loadCompose({
      files: ["/p/a.yaml", "/p/b.yaml"],
      environment: {},
      fs: memoryFiles({
        "/p/a.yaml": `${web(base)}  db: {image: y}\n`,
        "/p/b.yaml": `services:\n  web: {${over}}\n`,
      }),
    });
    assert.ok(result.ok, result.ok ? "" : result.problems.map(formatProblem).join("\n"));
    const shown = printCanonical(result.project, "json").replace(/\s+/g, " ");
    assert.ok(shown.includes(expected), shown);
  });
}

test("lines of a text in quotes may begin anywhere, and a backslash joins them", () => {
  const shown = printed(
    'services:\n  web:\n    image: x\n    command: ["a \\\n    b", "c\nd", "e \\\n\n  f"]\n    user: \'g\n  h\'\n',
  );
  assert.ok(shown.includes('[ "a b", "c d", "e \\nf" ]'), shown);
  assert.ok(shown.includes('"user": "g h"'), shown);
});

test("long keys and keys of several lines follow a question mark in YAML", () => {
  const short = "k".repeat(128);
  const result = loadCompose({
    files: ["/p/compose.yaml"],
    environment: { COMPOSE_PROJECT_NAME: "p" },
    fs: memoryFiles({
      "/p/compose.yaml": JSON.stringify({
        services: { web: { image: "x" } },
        "x-a": {
          "a\nb": "c",
          [short]: "a",
          [`${short}k`]: ["a", { b: "c", d: ["e"] }],
          // Bytes count, not letters.
          ["é".repeat(65)]: { a: { b: "c" }, d: null },
        },
      }),
    }),
  });
  assert.ok(result.ok);
  assert.equal(
    printCanonical(result.project, "yaml").split("x-a:\n")[1],
    `  ? |-
    a
    b
  : c
  ${short}: a
  ? ${short}k
  : - a
    - b: c
      d:
        - e
  ? ${"é".repeat(65)}
  : a:
      b: c
    d: null
`,
  );
});

test("dates of extensions, = and << stand without quotes in YAML", () => {
  const text = printed(
    `${web("environment: {A: '=', B: '<<'}")}x-a: [2001-01-01, "2001-01-01"]\n`,
    "yaml",
  );
  assert.ok(text.includes("environment: A: = B: << image"), text);
  assert.ok(text.includes('x-a: - 2001-01-01T00:00:00Z - "2001-01-01"'), text);
});
