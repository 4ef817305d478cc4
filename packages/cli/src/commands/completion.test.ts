/** Completion scripts: that shells take them, and that they complete. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { runCommandLine } from "../run-command.ts";
import { recorder } from "../testing/command-bench.ts";

async function scriptFor(shell: string): Promise<string> {
  const { output, said } = recorder(false);
  const code = await runCommandLine({
    argv: ["completion", shell],
    environment: {},
    workingDirectory: "/",
    signal: new AbortController().signal,
    output,
  });
  assert.equal(code, 0);
  return said().join("\n");
}

/** What bash offers for the words; the last is being typed. */
function offered(script: string, words: readonly string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const ask = `${script}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; cd /var/empty 2>/dev/null; _berth; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", ask], { encoding: "utf8" }).trim().split("\n");
}

test("bash takes the script and completes commands, second words and options", async () => {
  const script = await scriptFor("bash");
  execFileSync("bash", ["-n", "-c", script]);
  assert.deepEqual(offered(script, ["berth", "dep"]), ["deploy"]);
  assert.deepEqual(offered(script, ["berth", "stack", ""]), ["ls", "rm", "parameters"]);
  assert.deepEqual(offered(script, ["berth", "deploy", "--pl"]), ["--plan"]);
  assert.deepEqual(offered(script, ["berth", "stack", "rm", "--vol"]), ["--volumes"]);
});

test("zsh gets bash's script through its own bridge, fish one line an option", async () => {
  assert.match(await scriptFor("zsh"), /^autoload -U \+X bashcompinit/);
  const fish = await scriptFor("fish");
  assert.match(fish, /^complete -c berth -f -n __fish_use_subcommand -a deploy/m);
  assert.match(fish, /-l plan$/m);
});
