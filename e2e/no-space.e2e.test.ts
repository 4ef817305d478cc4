/** A disk that is full: clear words, running services go on, and all is well once there is room again. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, TestPlatform } from "./test-platform.ts";

/** Room for databases, logs and caches of the platform; small enough to be filled at once. */
const SIZE = "96m";

let platform: TestPlatform;
let filler = "";

before(async () => {
  platform = await TestPlatform.prepare();
  mkdirSync(platform.dataDir, { mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", platform.dataDir]);
  filler = join(platform.dataDir, "filler");
  await platform.startPlatform();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(async () => {
  rmSync(filler, { force: true });
  const words = ["platform", "uninstall", "--yes", "--volumes", "all"];
  await platform.berth(...words);
  execFileSync("umount", [platform.dataDir]);
  rmSync(platform.folder, { recursive: true, force: true });
});

function fill(): void {
  const file = openSync(filler, "w");
  for (const size of [1_048_576, 4_096]) {
    const bytes = Buffer.alloc(size);
    try {
      for (;;) writeSync(file, bytes);
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error && error.code === "ENOSPC");
    }
  }
  closeSync(file);
}

function compose(version: string): string {
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; echo ${version} > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    x-berth:
      min_healthy: 100ms
      routes: [{ host: full.localhost, port: 8080 }]
`;
}

test("a deploy on a full disk is refused in clear words, and services go on", async () => {
  const first = await platform.deploy("full", compose("v1"));
  assert.equal(first.code, 0, first.stdout + first.stderr);
  fill();
  const second = await platform.deploy("full", compose("v2"), "--timeout", "20s");
  assert.equal(second.code, 1, second.stdout + second.stderr);
  assert.match(second.stderr, /space/);
  assert.equal((await platform.ingress("full.localhost")).body, "v1\n");
});

test("with room again the same deploy succeeds, and nothing was lost", async () => {
  rmSync(filler);
  assert.match(await platform.must("ps"), /full\/web/);
  await eventually("the deploy succeeds", async () => {
    const { code } = await platform.deploy("full", compose("v2"));
    return code === 0;
  });
  await eventually("the new version answers", async () => {
    return (await platform.ingress("full.localhost")).body === "v2\n";
  });
});
