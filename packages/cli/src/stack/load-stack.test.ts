/** Which files a command reads, under which name, and what it says of them. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ProtocolError } from "@berth/protocol";
import type { CommandInput } from "../command.ts";
import { recorder } from "../testing/command-bench.ts";
import { isProtocolError } from "../testing/protocol-error.ts";
import { type LoadedStack, loadOpened, openStack, stackName } from "./load-stack.ts";

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Compose
const SHOP = "services: {web: {image: 'a:${TAG:-none}'}}\n";

function folderOf(context: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = join(mkdtempSync(join(tmpdir(), "berth-load-")), "shop");
  context.after(() => rmSync(join(folder, ".."), { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function inputIn(
  workingDirectory: string,
  options: CommandInput["options"] = {},
  environment: CommandInput["environment"] = {},
): CommandInput {
  const unused = () => {
    throw new ProtocolError("internal", "files are read without a server");
  };
  return {
    words: [],
    options,
    output: recorder(false).output,
    environment,
    workingDirectory,
    signal: new AbortController().signal,
    connect: unused,
    scope: unused,
  };
}

async function loadStack(input: CommandInput): Promise<LoadedStack> {
  return loadOpened(input, await openStack(input));
}

async function imageOf(input: CommandInput): Promise<string | undefined> {
  const { project } = await loadStack(input);
  return `${project.name} ${project.services["web"]?.image}`;
}

test("an override file lies over a file that was found, not over one that was named", async (context) => {
  const folder = folderOf(context, {
    "docker-compose.yml": SHOP,
    "docker-compose.yaml": SHOP.replace("a:", "later:"),
    "docker-compose.override.yml": "services: {web: {image: 'last'}}\n",
    "compose.override.yaml": "services: {web: {image: 'over'}}\n",
    "deep/x": "",
  });
  assert.equal(await imageOf(inputIn(folder)), "shop over");
  assert.equal(await imageOf(inputIn(join(folder, "deep"))), "shop over");
  assert.equal(await imageOf(inputIn(folder, { file: ["docker-compose.yml"] })), "shop a:none");
});

test("the file is found here or above, by Compose's names in their order", async (context) => {
  const folder = folderOf(context, {
    "docker-compose.yml": SHOP.replace("a:", "old:"),
    "deep/er/x": "",
  });
  assert.equal(await imageOf(inputIn(join(folder, "deep/er"))), "shop old:none");
  writeFileSync(join(folder, "compose.yaml"), SHOP);
  assert.equal(await imageOf(inputIn(join(folder, "deep/er"))), "shop a:none");
});

test("-f wins over COMPOSE_FILE; several lie over one another", async (context) => {
  const folder = folderOf(context, {
    "a.yaml": SHOP,
    "b.yaml": "services: {web: {image: b}}\n",
    "compose.yaml": SHOP,
  });
  const environment = { COMPOSE_FILE: "a.yaml:b.yaml" };
  assert.equal(await imageOf(inputIn(folder, {}, environment)), "shop b");
  assert.equal(await imageOf(inputIn(folder, { file: ["a.yaml"] }, environment)), "shop a:none");
  assert.equal(await imageOf(inputIn(folder, { file: ["a.yaml", "b.yaml"] })), "shop b");
});

test("variables: the environment over .env, --env-file instead of .env", async (context) => {
  const folder = folderOf(context, {
    "compose.yaml": SHOP,
    ".env": "TAG=dotted\n",
    "prod.env": "TAG=prod\n",
  });
  assert.equal(await imageOf(inputIn(folder)), "shop a:dotted");
  assert.equal(await imageOf(inputIn(folder, {}, { TAG: "shell" })), "shop a:shell");
  assert.equal(await imageOf(inputIn(folder, { envFile: ["prod.env"] })), "shop a:prod");
});

test("what a .env says of files counts like the caller's own variables", async (context) => {
  const files = {
    "compose.yaml": SHOP,
    ".env":
      "COMPOSE_FILE=a.yaml,b.yaml\nCOMPOSE_PATH_SEPARATOR=,\nTAG=dotted\nCOMPOSE_PROJECT_NAME=own\n",
    "a.yaml": "services: {web: {image: a}}\n",
    "b.yaml": SHOP.replace("a:", "b:"),
    "deep/c.yaml": SHOP.replace("a:", "c:"),
    "deep/.env": "TAG=deep\nCOMPOSE_PROJECT_NAME=other\n",
  };
  const folder = folderOf(context, files);
  assert.equal(await imageOf(inputIn(folder)), "own b:dotted");
  assert.equal(await imageOf(inputIn(folder, { file: ["compose.yaml"] })), "own a:dotted");
  assert.equal(
    await imageOf(inputIn(folder, {}, { COMPOSE_FILE: "compose.yaml" })),
    "own a:dotted",
  );
  assert.equal(await imageOf(inputIn(folder, { file: ["deep/c.yaml"] })), "other c:deep");
  writeFileSync(join(folder, ".env"), "COMPOSE_FILE=deep/c.yaml\nCOMPOSE_PROJECT_NAME=own\n");
  // The .env that named the file, over the one beside it.
  assert.equal(await imageOf(inputIn(folder)), "own c:deep");
});

test("env files by COMPOSE_ENV_FILES, and none where they are turned off", async (context) => {
  const folder = folderOf(context, {
    "compose.yaml": SHOP,
    ".env": "TAG=dotted\n",
    "one.env": "TAG=one\n",
    "two.env": "TAG=two\n",
  });
  const image = (environment: Record<string, string>, options: CommandInput["options"] = {}) =>
    imageOf(inputIn(folder, options, environment));
  assert.equal(await image({ COMPOSE_ENV_FILES: "one.env,two.env" }), "shop a:two");
  const both = { COMPOSE_ENV_FILES: "one.env", COMPOSE_DISABLE_ENV_FILE: "1" };
  assert.equal(await image(both), "shop a:one");
  assert.equal(await image(both, { envFile: ["two.env"] }), "shop a:two");
  assert.equal(await image({ COMPOSE_DISABLE_ENV_FILE: "true" }), "shop a:none");
  assert.equal(await image({ COMPOSE_DISABLE_ENV_FILE: "0" }), "shop a:dotted");
});

for (const [environment, message] of [
  [{ COMPOSE_FILE: "compose.yaml:" }, /COMPOSE_FILE is "compose.yaml:": a name in it is empty/],
  [{ COMPOSE_ENV_FILES: "a.env,,b.env" }, /COMPOSE_ENV_FILES is "a.env,,b.env": a name in it/],
  [
    { COMPOSE_DISABLE_ENV_FILE: "yes" },
    /COMPOSE_DISABLE_ENV_FILE is "yes"; expected true or false/,
  ],
] as const) {
  test(`${JSON.stringify(environment)} is refused`, async (context) => {
    const folder = folderOf(context, { "compose.yaml": SHOP });
    await assert.rejects(openStack(inputIn(folder, {}, environment)), message);
  });
}

test("an .env with a value for no name is refused, with its line", async (context) => {
  const folder = folderOf(context, { "compose.yaml": SHOP, ".env": "TAG=1\n=x\n" });
  await assert.rejects(loadStack(inputIn(folder)), /\.env:2:1 .*has no name for its value/);
});

test("--stack names it", async (context) => {
  const folder = folderOf(context, { "compose.yaml": SHOP });
  assert.equal(await imageOf(inputIn(folder, { stack: "other" })), "other a:none");
});

test("a project's name that DNS cannot carry loads; the stack's is refused with one that will do", async (context) => {
  const folder = folderOf(context, { "compose.yaml": SHOP });
  assert.equal(await imageOf(inputIn(folder, { stack: "my_shop" })), "my_shop a:none");
  const refusal = (way: RegExp) => isProtocolError("invalid_stack", way);
  assert.throws(() => stackName("my_shop"), refusal(/"my_shop" cannot be .* --stack my-shop$/));
  assert.throws(() => stackName(`${"a".repeat(62)}_b`), refusal(/up to 63; .* --stack a{62}$/));
  assert.throws(() => stackName("_"), refusal(/ give one with --stack$/));
  assert.equal(stackName("my-shop"), "my-shop");
});

test("without a file the folder is named; errors have file, line and column", async (context) => {
  const folder = folderOf(context, { "compose.yaml": "services:\n  web:\n    imge: a\n" });
  await assert.rejects(
    loadStack(inputIn(folder)),
    isProtocolError("invalid_stack", /^compose\.yaml:3:5 {2}services\.web\.imge {3}unknown key/m),
  );
  const empty = folderOf(context, { x: "" });
  await assert.rejects(
    loadStack(inputIn(empty)),
    isProtocolError("invalid_request", /there is no compose\.yaml in .*shop or above it; name one/),
  );
});
