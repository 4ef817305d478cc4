/** The hook with real programs. */

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type HookCall, programHook } from "./hook.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-hook-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const CALL: HookCall = {
  action: "present",
  host: "a.test",
  record: "_acme-challenge.a.test",
  value: "$(touch /tmp/never); value",
};

function run(command: readonly string[], timeoutMs = 10_000) {
  return programHook({ command, timeoutMs, call: CALL, signal: new AbortController().signal });
}

function script(name: string, text: string, mode = 0o700): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, mode);
  return path;
}

test("is told everything in the environment and as last argument, and nothing else of ours", async () => {
  process.env["BERTH_TEST_SECRET"] = "mine";
  const out = join(folder, "out");
  const program = script("env", `{ env | sort; printf '%s|' "$@"; } > ${out}; echo made it`);
  assert.equal(await run([program, "--zone", "a b; c"]), "made it");
  const text = readFileSync(out, "utf8");
  assert.match(text, /^BERTH_ACME_ACTION=present$/m);
  assert.match(text, /^BERTH_ACME_HOST=a\.test$/m);
  assert.match(text, /^BERTH_ACME_RECORD=_acme-challenge\.a\.test$/m);
  assert.match(text, /^BERTH_ACME_VALUE=\$\(touch \/tmp\/never\); value$/m);
  assert.match(text, /--zone\|a b; c\|present\|$/);
  assert.ok(!text.includes("mine"), text);
});

test("fails with its code and last words, by a signal, or because it is not there", async () => {
  const failing = script("failing", "echo one; echo 'no such\tzone' >&2; exit 4");
  await assert.rejects(run([failing]), /present ended with code 4: no such zone$/);
  await assert.rejects(run([script("killed", "kill -TERM $$")]), /was ended by SIGTERM/);
  await assert.rejects(run([join(folder, "missing")]), /could not be started \(ENOENT\)/);
  await assert.rejects(run([script("plain", "true", 0o600)]), /could not be started \(EACCES\)/);
});

test("is ended when it takes too long", async () => {
  await assert.rejects(run([script("slow", "exec sleep 60")], 200), /did not end within 200 ms/);
});

test("is refused when everybody could change it, or by a relative path", async () => {
  await assert.rejects(run([script("open", "true", 0o777)]), /written by everybody/);
  await assert.rejects(run(["hook.sh"]), /not an absolute path/);
});
