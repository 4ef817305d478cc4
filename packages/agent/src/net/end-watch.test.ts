/** A real process with a real socket: what is tested is what the kernel does when it ends. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EndWatch } from "./end-watch.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-end-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const SERVER = `require("node:net").createServer((socket) => socket.on("error", () => {}))
  .listen(process.argv[1], () => console.log("ready"))`;

async function listener(path: string) {
  const child = spawn(process.execPath, ["-e", SERVER, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

test("the end of a process is told once, without a look at it, and its successor's as well", async () => {
  const path = join(folder, "a.sock");
  const never = new AbortController().signal;
  let tell = () => {};
  let told = 0;
  const watch = new EndWatch(path, () => {
    told++;
    tell();
  });
  for (let life = 1; life <= 2; life++) {
    rmSync(path, { force: true });
    const child = await listener(path);
    watch.open(never);
    watch.open(never);
    const end = new Promise<void>((resolve) => {
      tell = resolve;
    });
    child.kill("SIGKILL");
    await end;
    assert.equal(told, life);
  }
});

test("a process that does not listen has ended", async () => {
  const path = join(folder, "none.sock");
  await new Promise<void>((resolve) => {
    new EndWatch(path, resolve).open(new AbortController().signal);
  });
});

test("nothing is told after the watch was given up", async () => {
  const path = join(folder, "b.sock");
  const child = await listener(path);
  const given = new AbortController();
  const watch = new EndWatch(path, () => assert.fail("told"));
  watch.open(given.signal);
  given.abort();
  child.kill("SIGKILL");
  await once(child, "exit");
});
