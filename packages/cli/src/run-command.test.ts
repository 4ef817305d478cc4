/** From words to options: repeatable ones, a command's own words, and the client that is asked. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommandDescription } from "./command.ts";
import { commanderWords } from "./commander-words.ts";
import { command as deploy } from "./commands/deploy.ts";
import { command as exec } from "./commands/exec.ts";
import { runCommandLine } from "./run-command.ts";
import { recorder } from "./testing/command-bench.ts";

function parsed(description: CommandDescription, line: string) {
  return commanderWords("x", description, line.split(" "), recorder(false).output);
}

test("words after exec's target are the command's own, dashes and all", () => {
  assert.deepEqual(parsed(exec, "shop/web ls -la --json"), {
    words: ["shop/web", "ls", "-la", "--json"],
    options: {},
  });
  assert.deepEqual(parsed(exec, "-i -t -e A=1 -e B=2 shop/web-1 sh -c ls"), {
    words: ["shop/web-1", "sh", "-c", "ls"],
    options: { interactive: true, tty: true, environment: ["A=1", "B=2"] },
  });
});

test("a repeatable option takes one value each time and leaves the words alone", () => {
  assert.deepEqual(parsed(deploy, "-f a.yaml -f b.yaml --profile x --plan"), {
    words: [],
    options: { file: ["a.yaml", "b.yaml"], profile: ["x"], plan: true },
  });
});

async function codeAt(url: string, argv: readonly string[]) {
  const { output, said } = recorder(argv.includes("--json"));
  const code = await runCommandLine({
    argv,
    environment: { BERTH_URL: url, HOME: "/nonexistent" },
    workingDirectory: "/",
    signal: AbortSignal.timeout(10_000),
    output,
  });
  return { code, said: said() };
}

test("a server that cannot be reached is exit 3, in words and as JSON", async () => {
  // Port 9 (discard) is served nowhere.
  const { code, said } = await codeAt("http://127.0.0.1:9", ["ps"]);
  assert.equal(code, 3);
  assert.match(said[0] ?? "", /127\.0\.0\.1:9/);
  assert.match(said[1] ?? "", /berth platform status .* berth context ls/);
  const json = await codeAt("http://127.0.0.1:9", ["ps", "--json"]);
  assert.equal(json.code, 3);
  assert.match(json.said[0] ?? "", /^! \{"error":\{"code":"unavailable"/);
});
