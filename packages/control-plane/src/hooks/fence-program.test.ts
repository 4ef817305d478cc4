/** A real program as the fence hook: what it is told, and which ends count. */

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fenceProgram } from "./fence-program.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-fence-"));
after(() => rmSync(folder, { recursive: true }));

const REQUEST = {
  node: "n1",
  cluster: "c1",
  address: "10.0.0.5",
  bootId: "b1",
  labels: { ipmi: "10.9.0.5" },
  silentSince: Date.UTC(2026, 0, 1),
  attempt: 2,
};

function hook(name: string, script: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, mode);
  return path;
}

function run(program: string, fenceTimeoutMs = 20_000, signal = AbortSignal.timeout(30_000)) {
  return fenceProgram([program], { fenceTimeoutMs }).fence(REQUEST, signal);
}

test("it is told what is known of the node, and code 0 says that the host is dead", async () => {
  const script =
    'echo "$* $BERTH_NODE $BERTH_CLUSTER $BERTH_NODE_ADDRESS $BERTH_NODE_BOOT_ID $BERTH_NODE_LABELS $BERTH_SILENT_SINCE $BERTH_FENCE_ATTEMPT home:$HOME"';
  assert.deepEqual(await run(hook("told", script)), {
    fenced: true,
    message: 'fence n1 n1 c1 10.0.0.5 b1 {"ipmi":"10.9.0.5"} 2026-01-01T00:00:00.000Z 2 home:',
  });
});

test("another code, a signal, too long a time and a missing program say nothing", async () => {
  const cases = [
    [hook("refuses", "echo no power controller >&2; exit 3"), /ended with code 3: no power contr/],
    [hook("dies", "kill -9 $$"), /was ended by SIGKILL/],
    [join(folder, "missing"), /could not be started \(ENOENT\)/],
    [hook("open", "exit 0", 0o777), /can be written by everybody/],
    ["relative", /is not an absolute path/],
  ] as const;
  for (const [program, words] of cases) {
    const { fenced, message } = await run(program);
    assert.equal(fenced, false);
    assert.match(message, words);
  }
  const slow = await run(hook("slow", "exec sleep 30"), 50);
  assert.equal(slow.fenced, false);
  assert.match(slow.message, /did not end within 50 ms/);
});

test("a server that stops ends the run, and keeps no outcome", async () => {
  const ending = new AbortController();
  const running = run(hook("waits", "exec sleep 30"), 20_000, ending.signal);
  ending.abort(new Error("this server stops"));
  await assert.rejects(running, /this server stops/);
});
