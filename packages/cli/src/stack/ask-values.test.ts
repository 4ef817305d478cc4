/** What a terminal asks for and a person types: on a real pseudo-terminal, which `script` of util-linux makes. */

import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ADMIN_TOKEN } from "@berth/control-plane/api/api-fixture";
import { type HttpFixture, startHttpFixture } from "@berth/control-plane/server/http-fixture";
import { keys } from "@berth/protocol";
import { seedShop } from "../testing/command-bench.ts";

const MAIN = join(import.meta.dirname, "../main.ts");
/** A terminal that says nothing for so long hangs: nothing is measured with it. */
const SILENCE_MS = 60_000;
const STACK = `name: blog
x-berth:
  parameters:
    DOMAIN: {description: where the blog answers, pattern: "[a-z.]+"}
    TOKEN: {secret: true}
services:
  web:
    image: busybox:1
    environment: {DOMAIN: "\${DOMAIN}"}
    secrets: [token]
secrets:
  token: {environment: TOKEN}
`;

let fixture: HttpFixture;
let folder = "";

before(async () => {
  fixture = await startHttpFixture();
  await seedShop({ fixture });
  folder = mkdtempSync(join(tmpdir(), "berth-ask-"));
  writeFileSync(join(folder, "compose.yaml"), STACK);
});

after(async () => {
  await fixture.stop();
  rmSync(folder, { recursive: true });
});

/** A command on a terminal of its own. */
class Terminal {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<number>;
  readonly #gone = new AbortController();
  said = "";

  constructor(words: readonly string[]) {
    const quoted = [process.execPath, "--disable-warning=ExperimentalWarning", MAIN, ...words];
    const line = quoted.map((word) => `'${word}'`).join(" ");
    this.#child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"], {
      cwd: folder,
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        TERM: "dumb",
        BERTH_URL: fixture.url,
        BERTH_TOKEN: ADMIN_TOKEN,
      },
    });
    this.#child.stdout.on("data", (chunk: Buffer) => {
      this.said += chunk.toString();
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (code) => {
        this.#gone.abort();
        resolve(code ?? -1);
      });
    });
  }

  /** Waits until `times` matches of `pattern` were said. */
  async sees(pattern: RegExp, times = 1): Promise<void> {
    const all = new RegExp(pattern, "g");
    const signal = AbortSignal.any([AbortSignal.timeout(SILENCE_MS), this.#gone.signal]);
    while ([...this.said.matchAll(all)].length < times) {
      try {
        await once(this.#child.stdout, "data", { signal });
      } catch (error) {
        throw new Error(`never ${pattern}: ${this.said}`, { cause: error });
      }
    }
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  ended(): Promise<number> {
    return this.#ended;
  }
}

test("deploy asks for what nobody gave, again when it is wrong, and does not show a secret", async () => {
  const terminal = new Terminal(["deploy", "--detach"]);
  await terminal.sees(/DOMAIN \(where the blog answers\).*: /);
  terminal.type("a_b\r");
  await terminal.sees(/"a_b"; expected text that matches/);
  await terminal.sees(/DOMAIN \(where the blog answers\).*: /, 2);
  terminal.type("a.example\r");
  await terminal.sees(/TOKEN.*: /);
  terminal.type("hush-hush\r");
  assert.equal(await terminal.ended(), 0, terminal.said);
  assert.doesNotMatch(terminal.said, /hush/);

  const kept = await fixture.client().call("listParameters", {
    params: { project: "default", environment: "main", stack: "blog" },
  });
  assert.deepEqual(
    kept.items.map(({ name, secret }) => [name, secret]),
    [
      ["DOMAIN", false],
      ["TOKEN", true],
    ],
  );
});

test("kept values are not asked for again", async () => {
  const terminal = new Terminal(["deploy", "--detach"]);
  assert.equal(await terminal.ended(), 0, terminal.said);
  assert.doesNotMatch(terminal.said, /where the blog answers/);
});

for (const { does, asksFor, words } of [
  { does: "a question", asksFor: /DOMAIN.*: /, words: [] },
  { does: "a hidden question", asksFor: /TOKEN.*: /, words: ["--set", "DOMAIN=a.example"] },
]) {
  test(`Ctrl-C at ${does} ends the command without a word, and nothing is deployed`, async () => {
    const terminal = new Terminal(["deploy", "--detach", "--stack", "other", ...words]);
    await terminal.sees(asksFor);
    terminal.type("\u0003");
    assert.equal(await terminal.ended(), 130, terminal.said);
    assert.match(terminal.said.trim(), /: $|:$/);
    await isNotDeployed("other");
  });

  test(`the end of the input at ${does} is an error that names the question`, async () => {
    const terminal = new Terminal(["deploy", "--detach", "--stack", "other", ...words]);
    await terminal.sees(asksFor);
    terminal.type("\u0004");
    assert.equal(await terminal.ended(), 2, terminal.said);
    assert.match(terminal.said, /the input ended without an answer to "(DOMAIN|TOKEN)/);
    await isNotDeployed("other");
  });
}

async function isNotDeployed(name: string): Promise<void> {
  const stack = { project: "default", environment: "main", stack: name };
  const { entry } = await fixture.store.get(keys.stack(stack));
  assert.equal(entry, undefined);
}
