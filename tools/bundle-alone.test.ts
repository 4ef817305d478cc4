/** `berth config` by itself says what the whole program says, and leaves to it what it cannot do. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bundleAlone } from "./bundle-alone.ts";
import { ROOT } from "./source-tree.ts";

let folder = "";
/** Says which words it was given, in place of the whole program. */
const WHOLE = 'console.log("whole " + process.argv.slice(2).join(" "));';

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-alone-"));
  await bundleAlone(folder, "0.1.0+test");
  writeFileSync(join(folder, "berth.mjs"), WHOLE);
});

after(() => rmSync(folder, { recursive: true }));

function said(program: string, words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", program, "config", ...words],
    { cwd: folder, encoding: "utf8" },
  );
  return { status, stdout, stderr };
}

const FILES: Readonly<Record<string, string>> = {
  "plain.yaml": "services:\n  web: {image: x, ports: ['80:80'], version: 3}\nversion: '3'\n",
  // An explicit key: the package for YAML reads it.
  "rare.yaml": "? services\n: web:\n    image: nginx\n",
  "broken.yaml": "services:\n\tweb: {imag: x}\n",
  "right.yaml": "services:\n  web: {image: x, attach: false}\n",
};

for (const [name, text] of Object.entries(FILES)) {
  test(`${name}: the same words on both outputs, and the same exit code`, () => {
    writeFileSync(join(folder, name), text);
    for (const words of [["--hash", "*"], ["--format", "json"], []]) {
      const line = ["-f", name, ...words];
      assert.deepEqual(
        said(join(folder, "config.cjs"), line),
        said(join(ROOT, "packages/cli/src/main.ts"), line),
        line.join(" "),
      );
    }
  });
}

test("help, mistakes, standard input, remote files and digests are the whole program's", () => {
  for (const line of [
    ["--help"],
    ["--nope"],
    ["-f", "-"],
    ["-f", "right.yaml", "--allow-remote", "https://x"],
    ["-f", "right.yaml", "--resolve-image-digests"],
  ]) {
    const { status, stdout } = said(join(folder, "config.cjs"), line);
    assert.deepEqual([status, stdout], [0, `whole config ${line.join(" ")}\n`]);
  }
});

test("compiled code that does not fit this Node is passed over", () => {
  const cache = join(folder, "config-alone.js.cache");
  assert.ok(statSync(cache).size > 100_000);
  truncateSync(cache, 1_000);
  const { status, stdout } = said(join(folder, "config.cjs"), ["-f", "right.yaml", "--services"]);
  assert.deepEqual([status, stdout], [0, "web\n"]);
});
