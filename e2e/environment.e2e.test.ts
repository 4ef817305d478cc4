/** Values of the environment reach the process byte for byte, whatever is in them. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { TestPlatform } from "./test-platform.ts";

/** All values go in one deploy: each container costs half a second, a value nothing. */
const VALUES = 60;
/** A failing value is found again by the same seed. */
const SEED = 20_260_101;

let platform: TestPlatform;

before(async () => {
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(() => platform.uninstall());

const HARD = [
  "",
  " leading and trailing ",
  "two\nlines",
  "\n",
  "ends with a line\n",
  "tab\tand\rreturn",
  `$HOME \${HOME} $$ \${X:-y} $(id) \`id\``,
  `'single' "double" \\ back\\slash \\n`,
  '{"json": ["a", {"b": null}], "text": "q\\"q"}',
  "Grüße, 世界, 🚢, é, \u00a0, \u2028",
  "yes",
  "0x10",
  "1e3",
  "~",
  "null",
  "# no comment",
  "key: value",
  "- item",
  "&anchor *alias !tag %directive @at",
  "=a=b=",
  "a\u0001b\u007fc",
  "x".repeat(20_000),
];

/** No process can be given a zero byte, and no text lone halves of a pair. */
const anyValue = fc
  .string({
    unit: fc.constantFrom(...("$${}\"'\\\n\t :#-=[]{}%&*!|>@`,aZ0é世🚢".match(/./gsu) ?? [])),
  })
  .filter((value) => !value.includes("\0"));

/** What is written in the file for `value`: a dollar stands twice. */
function escaped(value: string): string {
  return value.replaceAll("$", () => "$$");
}

async function environmentOf(target: string): Promise<ReadonlyMap<string, string>> {
  const text = await platform.must("exec", target, "cat", "/proc/1/environ");
  return new Map(
    text
      .split("\0")
      .filter((pair) => pair !== "")
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
}

const values = [...HARD, ...fc.sample(anyValue, { numRuns: VALUES, seed: SEED })];
const wanted = Object.fromEntries(values.map((value, index) => [`VALUE_${index}`, value]));

/** A service for each form in which Compose takes an environment. */
const forms = {
  map: { environment: mapValues(escaped) },
  list: {
    environment: Object.entries(mapValues(escaped)).map(([name, value]) => `${name}=${value}`),
  },
};

function mapValues(change: (value: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, change(value)]));
}

test("values of a map and of a list arrive as they were written", async () => {
  const service = {
    image: "berth/busybox",
    command: ["sleep", "1000"],
    stop_signal: "SIGKILL",
    "x-berth": { min_healthy: "100ms" },
  };
  const services = Object.fromEntries(
    Object.entries(forms).map(([name, form]) => [name, { ...service, ...form }]),
  );
  // YAML allows no control characters as they are; the package escapes all of them but this one.
  const text = stringify({ services }).replaceAll("\u007f", "\\x7f");
  const { code, stdout, stderr } = await platform.deploy("values", text);
  assert.equal(code, 0, stdout + stderr);
  for (const name of Object.keys(forms)) {
    const found = await environmentOf(`values/${name}`);
    const own = Object.fromEntries([...found].filter(([key]) => key.startsWith("VALUE_")));
    assert.deepEqual(own, wanted, `as a ${name}, seed ${SEED}`);
  }
});

test("values that are interpolated arrive as the shell had them", async () => {
  const shell = Object.fromEntries(
    Object.entries(wanted).filter(([, value]) => value.length < 1_000),
  );
  const lines = Object.keys(shell).map((name) => `      ${name}: "\${${name}}"`);
  const compose = `services:
  shell:
    image: berth/busybox
    command: ["sleep", "1000"]
    stop_signal: SIGKILL
    environment:
${lines.join("\n")}
    x-berth: { min_healthy: 100ms }
`;
  const folder = platform.project("shell", { "compose.yaml": compose });
  const words = ["deploy", "-f", `${folder}/compose.yaml`, "--stack", "shell"];
  const { code, stdout, stderr } = await platform.berthWith({ environment: shell }, ...words);
  assert.equal(code, 0, stdout + stderr);
  const found = await environmentOf("shell/shell");
  const own = Object.fromEntries([...found].filter(([key]) => key.startsWith("VALUE_")));
  assert.deepEqual(own, shell);
});

test("values of an env_file keep quotes' content and do not run anything", async () => {
  const envFile =
    'SINGLE=\'a $HOME "b" # c\'\nDOUBLE="two\\nlines \\"q\\""\nPLAIN=a b # a comment\n';
  const compose =
    "services: { file: { image: berth/busybox, command: [sleep, '1000'], stop_signal: SIGKILL, env_file: ./app.env } }\n";
  const folder = platform.project("file", { "compose.yaml": compose, "app.env": envFile });
  await platform.must("deploy", "-f", `${folder}/compose.yaml`, "--stack", "file");
  const found = await environmentOf("file/file");
  assert.deepEqual(
    ["SINGLE", "DOUBLE", "PLAIN"].map((name) => found.get(name)),
    ['a $HOME "b" # c', 'two\nlines "q"', "a b"],
  );
});
