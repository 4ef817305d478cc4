/** The installed HAProxy reads every golden configuration, and nft every ruleset. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

function golden(folder: string, ending: string): string[] {
  const path = fileURLToPath(new URL(`../src/${folder}/testdata/`, import.meta.url));
  const files = readdirSync(path).filter((name) => name.endsWith(ending));
  assert.ok(files.length > 0);
  return files.map((name) => `${path}${name}`);
}

for (const file of golden("ingress", ".cfg")) {
  test(`haproxy -c takes ${file.split("/").at(-1)} without a warning`, () => {
    const result = spawnSync("haproxy", ["-c", "-f", file], { encoding: "utf8" });
    assert.equal(result.status, 0, result.stderr);
    assert.doesNotMatch(result.stderr, /WARNING/);
  });
}

for (const file of golden("firewall", ".nft")) {
  test(`nft -c takes ${file.split("/").at(-1)}`, () => {
    // In a namespace: a check looks at the kernel's tables as well.
    const result = spawnSync("unshare", ["-n", "nft", "-c", "-f", file], { encoding: "utf8" });
    assert.equal(result.status, 0, result.stderr);
  });
}
