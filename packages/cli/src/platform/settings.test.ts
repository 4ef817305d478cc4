/** Settings, log rotation and what the platform left on a machine. */

import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isProtocolError } from "../testing/protocol-error.ts";
import { clusterOf } from "./leftovers.ts";
import { rotateLog } from "./log-rotation.ts";
import { platformPaths } from "./paths.ts";
import { defaultSettings, readSettings, writeSettings } from "./settings.ts";

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-platform-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("settings are read back as they were written, for their owner only", (context) => {
  const file = join(folderOf(context), "new", "platform.json");
  assert.deepEqual(readSettings(file), defaultSettings());
  const settings = { ...defaultSettings(), port: 7_999, node: "n-1" };
  writeSettings(file, settings);
  assert.deepEqual(readSettings(file), settings);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("a settings file of an older version is completed; a broken one is named", (context) => {
  const file = join(folderOf(context), "platform.json");
  writeFileSync(file, '{"port": 7999}');
  assert.deepEqual(readSettings(file), { ...defaultSettings(), port: 7_999 });
  for (const text of ["{", '{"port": "x"}', '{"prot": 1}']) {
    writeFileSync(file, text);
    assert.throws(
      () => readSettings(file),
      isProtocolError("invalid_request", /platform\.json cannot be understood/),
    );
  }
});

test("a log is put aside when it is too large, and goes on in the same file", (context) => {
  const file = join(folderOf(context), "server.log");
  assert.equal(rotateLog(file, 10), false);
  writeFileSync(file, "0123456789");
  assert.equal(rotateLog(file, 10), false);
  writeFileSync(file, "0123456789+");
  const { ino } = statSync(file);
  assert.equal(rotateLog(file, 10), true);
  assert.deepEqual([statSync(file).size, statSync(file).ino], [0, ino]);
  assert.equal(readFileSync(`${file}.1`, "utf8"), "0123456789+");
});

test("without a cluster's mark nothing is taken for ours", (context) => {
  const folder = folderOf(context);
  const paths = platformPaths(folder, {}, 1_000);
  assert.equal(clusterOf(paths), undefined);
  mkdirSync(join(paths.clusterId, ".."), { recursive: true });
  writeFileSync(paths.clusterId, "c0ffee00\n");
  assert.equal(clusterOf(paths), "c0ffee00");
  assert.ok(existsSync(folder));
});
